"""The sequential environment: one slot a step, the mask of the current slot."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from natrl.envs.core import TransitionCore
from natrl.envs.decisions import Decisions
from natrl.envs.door import check_action
from natrl.envs.joint import ArchTransitionEnv, one_of
from natrl.spaces import Batch

__all__ = ["ArchTransitionSequentialEnv", "sequential_space"]


class ArchTransitionSequentialEnv(ArchTransitionEnv):
    """Replace the operations of an architecture slot after slot.

    ## Description
    The joint environment unrolled: each step decides the operation of one slot, in topological order. The choice that
    would cut the last path from input to output is masked, and so is one after which the other slots could not keep to
    a budget any more, so nothing is ever repaired. (A path may count on slots not yet decided: within a transform a
    cell can be without one for a while, at its end it never is.)

    ## Observation Space
    As in the joint environment, where `ops` holds the choices made so far, plus `slot`, the index of the slot to
    decide; `action_mask` is (K,), that slot's mask.

    ## Action Space
    Discrete(K). A choice outside the mask, or of no primitive at all, keeps the operation (or, where null may not stay,
    takes the first allowed one) and counts in `info["invalid_actions"]`, summed over the transform; with
    `invalid_action="raise"` it raises ValueError. So does anything but one whole number.

    ## Rewards
    0 until the last slot of a transform, then score(α) − score(β).

    ## Starting State
    As in the joint environment.

    ## Episode End
    Terminates after `horizon` transforms of E steps each; never truncates.

    ## Arguments
    As in the joint environment.

    ## Version History
    v0: first version.
    """

    _decisions: Decisions  # of the transform under way

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.observation_space = sequential_space(self.core)
        self._action_shape = ()
        self.action_space = gymnasium.spaces.Discrete(self._primitives)

    def step(self, action: int | np.integer) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:  # type: ignore[override]
        """Decides the operation of the current slot."""
        episodes = self._running()
        choice = check_action(action, self._action_shape, self._primitives).astype(np.int64)
        rewards = self._decisions.decide(choice[None])
        invalid = int(self._decisions.invalid[0])
        if rewards is not None:
            self._start_transform()
        reward = 0.0 if rewards is None else float(rewards[0])
        observation = self._observe()
        self._show()
        return observation, reward, episodes.ended, False, {**self._info(), "invalid_actions": invalid}

    @property
    def action_mask(self) -> np.ndarray:
        """bool (K,): the mask of the current slot."""
        self._running()
        return self._decisions.mask[0].copy()

    def _start(self, initial: Batch) -> None:
        super()._start(initial)
        self._start_transform()

    def _start_transform(self) -> None:
        self._decisions = Decisions(self.core, self._running())

    def _observe(self) -> dict[str, np.ndarray]:
        return {name: array[0] for name, array in self._decisions.observe().items()}

    def _info(self) -> dict[str, Any]:
        return one_of(self._decisions.info())


def sequential_space(core: TransitionCore) -> gymnasium.spaces.Dict:
    """Observations of one sequential environment."""
    spaces = dict(core.observation_space().spaces)
    spaces["slot"] = gymnasium.spaces.Discrete(core.space.n_slots)
    spaces["action_mask"] = gymnasium.spaces.MultiBinary(len(core.space.primitives))
    return gymnasium.spaces.Dict(spaces)
