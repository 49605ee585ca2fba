"""Machines that leave: the autoscaler takes them, or they crash. What ran on them has not failed."""

from __future__ import annotations

from ray.exceptions import ActorUnavailableError, NodeDiedError, RayActorError

__all__ = ["MOST_LOSSES", "machine_left"]

MOST_LOSSES = 10  # of machines, before what ran on them is held to be the reason

#: Ray keeps no field for it where the machine was ended in an orderly way, unless that was a drain.
_SAID = "its node has died"


def machine_left(error: BaseException | None) -> bool:
    """Whether an error of Ray's says that an actor or task ended with its machine, in an orderly way or not."""
    if isinstance(error, ActorUnavailableError | NodeDiedError):
        return True
    return isinstance(error, RayActorError) and (error.preempted or _SAID in str(error))
