"""The environments N times at once: one evaluator call scores the whole batch."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector.utils import batch_space

from natrl.core.transitions import CostMode, Rule
from natrl.envs.budgets import EnvBudget
from natrl.envs.core import InvalidAction, TransitionCore
from natrl.envs.decisions import Decisions
from natrl.envs.door import check_action, check_observation, first_seed, given_architecture, whole_number
from natrl.envs.episodes import Episodes
from natrl.envs.initial import Initial
from natrl.envs.sequential import sequential_space
from natrl.evaluation import Evaluator
from natrl.spaces import Batch, Space

__all__ = ["ArchTransitionSequentialVectorEnv", "ArchTransitionVectorEnv"]


class ArchTransitionVectorEnv(gymnasium.vector.VectorEnv):
    """`num_envs` joint environments in lock-step; arguments as in `ArchTransitionEnv`, all arrays batch first.

    With `group_size` n, n sub-environments in a row start from the same architecture (the papers' n transformations of
    each of m architectures). Autoreset mode NEXT_STEP: the step after a terminal one ignores its action, returns the
    next initial state with reward 0, and evaluates only that state. Where evaluations that fail are skipped, a
    transform from or to one is worth the lowest reward of its batch. `info` is what Gymnasium makes of those of N
    environments: an array (N, …) for each key, and behind an underscore, which environments have it (all).
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
        budget: EnvBudget | None = None,
    ) -> None:
        num_envs, group_size = whole_number("num_envs", num_envs), whole_number("group_size", group_size)
        if num_envs % group_size:
            raise ValueError(f"num_envs ({num_envs}) must be a multiple of group_size ({group_size})")
        self.core = TransitionCore(
            space=space,
            evaluator=evaluator,
            rule=rule,
            cost=cost,
            initial=initial,
            horizon=horizon,
            invalid_action=invalid_action,
            reward_clip=reward_clip,
            budget=budget,
            group_size=group_size,
        )
        self.num_envs = num_envs
        self.horizon = self.core.horizon
        self.group_size = group_size
        self.render_mode = None
        self.single_observation_space = self.core.observation_space()
        self._primitives, slots = len(self.core.space.primitives), self.core.space.n_slots
        self._action_shape: tuple[int, ...] = (num_envs, slots)
        self.single_action_space = gymnasium.spaces.MultiDiscrete([self._primitives] * slots)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._episodes: Episodes | None = None
        self._seen = False  # the first observation was checked

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Starts all episodes. `options={"architecture": [...]}` gives the N initial architectures."""
        given = given_architecture(options)
        super().reset(seed=first_seed(seed, self.num_envs))
        observation, info = self._start(self.core.check(given, self.num_envs) if given is not None else self._draw())
        if not self._seen:
            check_observation(observation, self.observation_space)
            self._seen = True
        return observation, info

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Applies one transform to each architecture, int (N, E); if the episodes have ended, starts new ones."""
        if self._episodes is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        if self._episodes.ended:
            observation, info = self._start(self._draw())
            return observation, np.zeros(self.num_envs), self._flags(False), self._flags(False), info
        rewards = self._episodes.transform(check_action(actions, self._action_shape, self._primitives))
        ended = self._flags(self._episodes.ended)
        return self._episodes.observe(), rewards, ended, self._flags(False), self._info(self._episodes)

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the evaluator."""
        if hasattr(self, "core"):  # Gymnasium closes also what could not be made
            self.core.evaluator.close()

    def _draw(self) -> Batch:
        return self.core.draw(self.np_random, self.num_envs)

    def _start(self, initial: Batch) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        self._episodes = Episodes(self.core, initial, self.np_random)
        return self._episodes.observe(), self._info(self._episodes)

    def _flags(self, value: bool) -> np.ndarray:
        return np.full(self.num_envs, value)

    def _info(self, episodes: Episodes) -> dict[str, Any]:
        return self._of_all(episodes.info())

    def _of_all(self, values: dict[str, Any]) -> dict[str, Any]:
        """As Gymnasium's vector environments have them: arrays of their own, and which environments have each value."""
        arrays = {name: np.array(value) for name, value in values.items()}
        return arrays | {f"_{name}": self._flags(True) for name in arrays}


class ArchTransitionSequentialVectorEnv(ArchTransitionVectorEnv):
    """`num_envs` sequential environments in lock-step, all at the same slot; otherwise as `ArchTransitionVectorEnv`."""

    _decisions: Decisions  # of the transforms under way

    def __init__(self, num_envs: int = 1, **arguments: Any) -> None:
        super().__init__(num_envs, **arguments)
        self._action_shape = (self.num_envs,)
        self.single_observation_space = sequential_space(self.core)
        self.single_action_space = gymnasium.spaces.Discrete(self._primitives)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Decides the slot of each, int (N,); if the episodes have ended, starts new ones."""
        if self._episodes is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        nothing = np.zeros(self.num_envs)
        if self._episodes.ended:
            observation, info = self._start(self._draw())
            return observation, nothing, self._flags(False), self._flags(False), info
        chosen = check_action(actions, self._action_shape, self._primitives).astype(np.int64)
        rewards = self._decisions.decide(chosen)
        invalid = self._decisions.invalid
        if rewards is not None:
            self._decisions = Decisions(self.core, self._episodes)
        ended = self._flags(self._episodes.ended)
        info = self._info(self._episodes) | {"invalid_actions": invalid}
        return self._decisions.observe(), nothing if rewards is None else rewards, ended, self._flags(False), info

    def _start(self, initial: Batch) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        self._episodes = Episodes(self.core, initial, self.np_random)
        self._decisions = Decisions(self.core, self._episodes)
        return self._decisions.observe(), self._info(self._episodes)

    def _info(self, episodes: Episodes) -> dict[str, Any]:
        return self._of_all(self._decisions.info())
