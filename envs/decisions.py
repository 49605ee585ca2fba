"""Transforms decided slot after slot: what the sequential environment does once and its vector form N times.

N rows, E slots, K primitives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from natrl.core.connectivity import LivePath
from natrl.envs.core import TransitionCore
from natrl.envs.episodes import Episodes
from natrl.spaces import Batch

__all__ = ["Decisions"]


class Decisions:
    """One transform of each of N episodes, all at the same slot.

    `present`: the architectures with the choices made so far; `mask` bool (N, K) of the slot to decide, number `slot`;
    `invalid` int64 (N,): choices outside the mask.
    """

    def __init__(self, core: TransitionCore, episodes: Episodes) -> None:
        primitives = core.space.primitives
        self._core, self._episodes = core, episodes
        self._null = primitives.index("null") if "null" in primitives else None
        self.present: Batch = episodes.present
        self.slot, self.invalid = 0, np.zeros(len(self.present), dtype=np.int64)
        masks = episodes.masks
        possible = np.delete(masks, self._null, axis=-1) if self._null is not None else masks
        self._path = LivePath(self.present.choices != self._null, possible.any(-1), self.present.topologies.wiring)
        budgeted = episodes.budgeted
        self._spending = None if budgeted is None else budgeted.spending(self.present, masks)
        self.mask = self._look()

    def decide(self, actions: np.ndarray) -> np.ndarray | None:
        """Decides the slot, int (N,); after the last one returns the rewards, float64 (N,), of the transform."""
        choice = self._carried_out(actions)
        choices = self.present.choices.copy()
        choices[:, self.slot] = choice
        self.present = self.present.with_choices(choices)
        self._path.decide(self.slot, choice != self._null)
        if self._spending is not None:
            self._spending.decide(self.slot, choice)
        self.slot += 1
        if self.slot < choices.shape[1]:
            self.mask = self._look()
            return None
        return self._episodes.settle(self.present, self.invalid, np.zeros_like(self.invalid))

    def _carried_out(self, actions: np.ndarray) -> np.ndarray:
        """The choices where the mask allows them; others are counted, and the operation kept if that is allowed."""
        rows, k = np.arange(len(actions)), self.mask.shape[1]
        inside = (actions >= 0) & (actions < k)
        valid = inside & self.mask[rows, np.where(inside, actions, 0)]
        if valid.all():
            return actions
        self._core.refuse(self.present[int(np.argmin(valid))], 1)
        self.invalid = self.invalid + ~valid
        kept = self.present.choices[:, self.slot]
        kept = np.where(self.mask[rows, kept], kept, self.mask.argmax(-1))
        return np.where(valid, actions, kept)

    def _look(self) -> np.ndarray:
        if self._spending is not None:
            return self._spending.look(self.slot)[0]
        mask = self._episodes.masks[:, self.slot].copy()
        if self._null is not None:
            mask[:, self._null] &= self._path.may_null(self.slot)
        return mask

    def observe(self) -> dict[str, np.ndarray]:
        """The observation arrays, batch first."""
        episodes = self._episodes
        budget = {} if episodes.budgeted is None else episodes.budgeted.arrays
        arrays = budget | self._core.observe(self.present, self._core.horizon - episodes.transforms)
        slot = np.full(len(self.present), self.slot, dtype=np.int64)
        return {**arrays, "action_mask": self.mask.astype(np.int8), "slot": slot}

    def info(self) -> dict[str, Any]:
        """What the states are, the choices made so far included: for each name N values."""
        params, madds = self.present.costs.T
        present = {"architecture": self.present, "params": params, "madds": madds}
        return {**self._episodes.info(), **present, "invalid_actions": self.invalid, "action_mask": self.mask.copy()}
