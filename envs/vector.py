"""The joint environment N times at once: one evaluator call scores the whole batch."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector.utils import batch_space

from natrl.architecture import Architecture
from natrl.envs.core import InvalidAction, TransitionCore
from natrl.envs.initial import Initial
from natrl.evaluation import Evaluator
from natrl.spaces import Space
from natrl.transitions import CostMode, Rule

__all__ = ["ArchTransitionVectorEnv"]


class ArchTransitionVectorEnv(gymnasium.vector.VectorEnv):
    """`num_envs` joint environments in lock-step; arguments as in `ArchTransitionEnv`, all arrays batch first.

    With `group_size` n, n sub-environments in a row start from the same architecture (the papers' n transformations of
    each of m architectures). Autoreset mode NEXT_STEP: the step after a terminal one ignores its action, returns the
    next initial state with reward 0, and evaluates only that state. `info` holds an array (N,) for each key;
    "architecture" and "initial_architecture" are arrays of objects.
    """

    metadata = {  # noqa: RUF012  # Gymnasium's convention
        "autoreset_mode": gymnasium.vector.AutoresetMode.NEXT_STEP,
        "render_modes": [],
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        space: str | Space = "nasbench201",
        evaluator: str | Evaluator = "table:nasbench201",
        rule: Rule = "nat++",
        cost: CostMode = "strict",
        initial: Initial = "uniform",
        horizon: int = 1,
        group_size: int = 1,
        reward_clip: float | None = None,
        invalid_action: InvalidAction = "keep",
    ) -> None:
        for name, value in (("num_envs", num_envs), ("horizon", horizon), ("group_size", group_size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if num_envs % group_size:
            raise ValueError(f"num_envs ({num_envs}) must be a multiple of group_size ({group_size})")
        self.core = TransitionCore(
            space=space,
            evaluator=evaluator,
            rule=rule,
            cost=cost,
            initial=initial,
            invalid_action=invalid_action,
            reward_clip=reward_clip,
        )
        self.num_envs = num_envs
        self.horizon = horizon
        self.group_size = group_size
        self.render_mode = None
        self.single_observation_space = self.core.observation_space()
        self.single_action_space = gymnasium.spaces.MultiDiscrete(
            [len(self.core.space.primitives)] * self.core.space.n_slots
        )
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._initial: list[Architecture] = []

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Starts all episodes. `options={"architecture": [...]}` gives the N initial architectures."""
        first = seed[0] if isinstance(seed, list) else seed
        super().reset(seed=first)
        given = (options or {}).get("architecture")
        if given is not None and len(given) != self.num_envs:
            raise ValueError(f"expected {self.num_envs} architectures, got {len(given)}")
        fresh = [self.core.space.check(a) for a in given] if given is not None else self._draw()
        self._initial, self._present = fresh, list(fresh)
        self._scores = self.core.scores(fresh)
        self._initial_scores = self._scores.copy()
        self._transforms = np.zeros(self.num_envs, dtype=np.int64)
        self._ended = np.zeros(self.num_envs, dtype=bool)
        none = np.zeros(self.num_envs, dtype=np.int64)
        return self._observe(), self._info(none, none)

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Applies one transform to each architecture, int (N, E); ended episodes start anew instead."""
        if not self._initial:
            raise gymnasium.error.ResetNeeded("call reset before step")
        ended = self._ended
        applied = self.core.apply(self._present, np.asarray(actions), self._masks)
        after = applied.architectures
        if ended.any():
            fresh = self._draw()
            after = [new if end else a for new, a, end in zip(fresh, after, ended, strict=True)]
            self._initial = [new if end else a for new, a, end in zip(fresh, self._initial, ended, strict=True)]
        scores = self.core.scores(after)
        rewards = np.where(ended, 0.0, self.core.rewards(self._scores, scores))
        self._initial_scores = np.where(ended, scores, self._initial_scores)
        self._present, self._scores = after, scores
        self._transforms = np.where(ended, 0, self._transforms + 1)
        self._ended = self._transforms >= self.horizon
        observation = self._observe()
        info = self._info(np.where(ended, 0, applied.invalid), np.where(ended, 0, applied.repaired))
        return observation, rewards, self._ended.copy(), np.zeros(self.num_envs, dtype=bool), info

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the evaluator."""
        if hasattr(self, "core"):  # Gymnasium closes also what could not be made
            self.core.evaluator.close()

    def _draw(self) -> list[Architecture]:
        return self.core.draw(self.np_random, self.num_envs, self.group_size)

    def _observe(self) -> dict[str, np.ndarray]:
        self._masks = self.core.masks(self._present)
        return self.core.observe(self._present, self._masks)

    def _info(self, invalid: np.ndarray, repaired: np.ndarray) -> dict[str, Any]:
        rows = [
            self.core.info(initial, present, scores)
            for initial, present, scores in zip(
                self._initial,
                self._present,
                zip(self._initial_scores.tolist(), self._scores.tolist(), strict=True),
                strict=True,
            )
        ]
        info: dict[str, Any] = {}
        for name in rows[0]:
            values = [row[name] for row in rows]
            objects = name in ("architecture", "initial_architecture")
            info[name] = _objects(values) if objects else np.array(values)
        return {**info, "invalid_actions": invalid, "repaired": repaired, "action_mask": self._masks}


def _objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
