"""Tasks with names and versions: what a result on the environments is a result of.

A task `natrl/NAME-v0` starts from four fifths of the architectures, those to learn from, and `natrl/NAME-HeldOut-v0`
from the others, whose mean return is the result. Importing `natrl.envs` registers all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium

__all__ = ["HELD_OUT", "TASKS", "NamedTask", "register"]

HELD_OUT = "-HeldOut"
JOINT = "natrl.envs:ArchTransitionEnv", "natrl.envs:ArchTransitionVectorEnv"
SEQUENTIAL = "natrl.envs:ArchTransitionSequentialEnv", "natrl.envs:ArchTransitionSequentialVectorEnv"


@dataclass(frozen=True)
class NamedTask:
    """What `gymnasium.make` is asked for by the name."""

    name: str
    arguments: Mapping[str, Any]
    entry_points: tuple[str, str] = JOINT  # of one environment, and of many
    is_sequential: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_sequential", self.entry_points == SEQUENTIAL)

    def ids(self) -> tuple[str, str]:
        """To learn on, and to report on."""
        return f"natrl/{self.name}-v0", f"natrl/{self.name}{HELD_OUT}-v0"


def _variants(name: str, arguments: dict[str, Any]) -> tuple[NamedTask, ...]:
    """One transform; within 60 % of the MAdds; four transforms; slot after slot."""
    return (
        NamedTask(name, arguments),
        NamedTask(f"{name}-Budget", {**arguments, "budget": {"madds": "60%"}}),
        NamedTask(f"{name}-Horizon", {**arguments, "horizon": 4}),
        NamedTask(f"{name}-Sequential", arguments, SEQUENTIAL),
    )


def _nasbench201(name: str, data: str) -> tuple[NamedTask, ...]:
    return _variants(f"NASBench201-{name}", {"space": "nasbench201", "evaluator": f"table:nasbench201:{data}"})


TASKS: tuple[NamedTask, ...] = (
    *_nasbench201("CIFAR10", "cifar10"),
    *_nasbench201("CIFAR100", "cifar100"),
    *_nasbench201("ImageNet16", "imagenet16"),
    *_variants("NASBench301", {"space": "darts301", "evaluator": "nasbench301:nasbench301_yahpo.onnx"}),
)


def register() -> None:
    """Makes the tasks known to Gymnasium."""
    for task in TASKS:
        for env_id, initial in zip(task.ids(), ("training", "held-out"), strict=True):
            one, many = task.entry_points
            kwargs = {**task.arguments, "initial": initial}
            gymnasium.register(id=env_id, entry_point=one, vector_entry_point=many, kwargs=kwargs)
