"""The sequential environment: one slot a step, the mask of the current slot."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from natrl.core.connectivity import LivePath
from natrl.core.spending import Spending
from natrl.envs.door import check_action
from natrl.envs.joint import ArchTransitionEnv
from natrl.spaces import Batch

__all__ = ["ArchTransitionSequentialEnv"]


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

    _decided: Batch  # the choices of the transform made so far
    _path: LivePath
    _spending: Spending | None  # with a budget

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        primitives = self.core.space.primitives
        self._null = primitives.index("null") if "null" in primitives else None
        spaces = dict(self.observation_space.spaces)  # type: ignore[attr-defined]
        spaces["slot"] = gymnasium.spaces.Discrete(self.core.space.n_slots)
        spaces["action_mask"] = gymnasium.spaces.MultiBinary(len(primitives))
        self.observation_space = gymnasium.spaces.Dict(spaces)
        self._action_shape = ()
        self.action_space = gymnasium.spaces.Discrete(len(primitives))

    def step(self, action: int | np.integer) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:  # type: ignore[override]
        """Decides the operation of the current slot."""
        episodes = self._running()
        choice = self._carried_out(int(check_action(action, self._action_shape, self._primitives)))
        choices = self._decided.choices.copy()
        choices[0, self._slot] = choice
        self._decided = self._decided.with_choices(choices)
        self._path.decide(self._slot, np.array([choice != self._null]))
        if self._spending is not None:
            self._spending.decide(self._slot, np.array([choice]))
        self._slot += 1
        reward, invalid = 0.0, self._invalid
        if self._slot == self.core.space.n_slots:
            reward = float(episodes.settle(self._decided, np.array([invalid]), np.array([0]))[0])
            self._start_transform()
        observation = self._observe()
        self._show()
        return observation, reward, episodes.ended, False, {**self._info(), "invalid_actions": invalid}

    def _carried_out(self, choice: int) -> int:
        """The choice where the mask allows it; else it is counted, and the operation kept if that is allowed."""
        if 0 <= choice < self._primitives and self._slot_mask[choice]:
            return choice
        self.core.refuse(self._decided[0], 1)
        self._invalid += 1
        kept = int(self._decided.choices[0, self._slot])
        return kept if self._slot_mask[kept] else int(self._slot_mask.argmax())

    @property
    def action_mask(self) -> np.ndarray:
        """bool (K,): the mask of the current slot."""
        self._running()
        return self._slot_mask

    def _start(self, initial: Batch) -> None:
        super()._start(initial)
        self._start_transform()

    def _start_transform(self) -> None:
        episodes = self._running()
        self._slot = self._invalid = 0
        self._decided = episodes.present
        possible = np.delete(episodes.masks, self._null, axis=-1) if self._null is not None else episodes.masks
        active = self._decided.choices != self._null
        self._path = LivePath(active, possible.any(-1), self._decided.topologies.wiring)
        budgeted = episodes.budgeted
        self._spending = None if budgeted is None else budgeted.spending(self._decided, episodes.masks)

    def _observe(self) -> dict[str, np.ndarray]:
        mask = self._running().masks[0, self._slot].copy()
        if self._null is not None and not self._path.may_null(self._slot)[0]:
            mask[self._null] = False
        if self._spending is not None:
            mask = self._spending.look(self._slot)[0][0]
        self._slot_mask = mask
        episodes = self._running()
        budget = {} if episodes.budgeted is None else episodes.budgeted.arrays
        arrays = budget | self.core.observe(self._decided, self.horizon - episodes.transforms)
        arrays = {name: array[0] for name, array in arrays.items()}
        return {**arrays, "action_mask": mask.astype(np.int8), "slot": np.int64(self._slot)}

    def _info(self) -> dict[str, Any]:
        params, madds = self._decided.costs[0].tolist()
        present = {"architecture": self._decided[0], "params": params, "madds": madds}
        return {**super()._info(), **present, "invalid_actions": self._invalid, "action_mask": self._slot_mask}
