"""The sequential environment: one slot a step, the mask of the current slot."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from natrl.architecture import Architecture, wiring
from natrl.connectivity import LivePath
from natrl.envs.joint import ArchTransitionEnv

__all__ = ["ArchTransitionSequentialEnv"]


class ArchTransitionSequentialEnv(ArchTransitionEnv):
    """Replace the operations of an architecture slot after slot.

    ## Description
    The joint environment unrolled: each step decides the operation of one slot, in topological order. The choice that
    would cut the last path from input to output is masked, so nothing is ever repaired. (A path may count on slots not
    yet decided: within a transform a cell can be without one for a while, at its end it never is.)

    ## Observation Space
    As in the joint environment, where `ops` holds the choices made so far, plus `slot`, the index of the slot to
    decide; `action_mask` is (K,), that slot's mask.

    ## Action Space
    Discrete(K). A choice outside the mask keeps the operation (or, where null may not stay, takes the first allowed
    one) and counts in `info["invalid_actions"]`, summed over the transform; with `invalid_action="raise"` it raises
    ValueError.

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

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        spaces = dict(self.observation_space.spaces)  # type: ignore[attr-defined]
        spaces["slot"] = gymnasium.spaces.Discrete(self.core.space.n_slots)
        spaces["action_mask"] = gymnasium.spaces.MultiBinary(len(self.core.space.primitives))
        self.observation_space = gymnasium.spaces.Dict(spaces)
        self.action_space = gymnasium.spaces.Discrete(len(self.core.space.primitives))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Starts an episode; `options={"architecture": a}` starts it from a. ValueError if a is not of the space."""
        self._slot = 0
        return super().reset(seed=seed, options=options)

    def step(self, action: int | np.integer) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:  # type: ignore[override]
        """Decides the operation of the current slot."""
        if self._initial is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        primitives = self.core.space.primitives
        choice = int(action)
        if not self._slot_mask[choice]:
            self.core.refuse(self._present, 1)
            self._invalid += 1
            kept = primitives.index(self._present.operations[self._slot])
            choice = kept if self._slot_mask[kept] else int(self._slot_mask.argmax())
        operations = list(self._present.operations)
        operations[self._slot] = primitives[choice]
        self._present = Architecture(self._present.cells, tuple(operations))
        self._path.decide(self._slot, np.array([primitives[choice] != "null"]))
        self._slot += 1
        reward = self._finish_transform() if self._slot == self.core.space.n_slots else 0.0
        done = self._transforms >= self.horizon
        invalid = self._invalid
        observation = self._observe()
        return observation, reward, done, False, self._info(invalid=invalid, repaired=0)

    def _finish_transform(self) -> float:
        before, self._score = self._score, float(self.core.scores([self._present])[0])
        self._transforms += 1
        self._slot = 0
        return float(self.core.rewards(before, self._score))

    def action_masks(self) -> np.ndarray:
        """bool (K,): the mask of the current slot."""
        return self._slot_mask

    def _observe(self) -> dict[str, np.ndarray]:
        if self._slot == 0:
            self._start_transform()
        mask = self._transform_masks[self._slot].copy()
        if "null" in self.core.space.primitives and not self._path.may_null(self._slot)[0]:
            mask[self.core.space.primitives.index("null")] = False
        self._slot_mask = self._masks = mask
        observation = self.core.observe([self._present], self._transform_masks[None])
        arrays = {name: array[0] for name, array in observation.items()}
        return {**arrays, "action_mask": mask.astype(np.int8), "slot": np.int64(self._slot)}

    def _start_transform(self) -> None:
        self._invalid = 0
        self._transform_masks = self.core.masks([self._present])[0]
        primitives = np.array(self.core.space.primitives)
        active = np.array([[op != "null" for op in self._present.operations]])
        possible = (self._transform_masks & (primitives != "null")).any(-1)[None]
        self._path = LivePath(active, possible, wiring(self._present.cells))
