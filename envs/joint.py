"""The joint environment: one action replaces the operations of all slots at once, as in the papers."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from natrl.architecture import Architecture
from natrl.envs.core import InvalidAction, TransitionCore
from natrl.envs.initial import Initial
from natrl.envs.viewer import describe
from natrl.evaluation import Evaluator
from natrl.spaces import Space
from natrl.transitions import CostMode, Rule

__all__ = ["ArchTransitionEnv"]


class ArchTransitionEnv(gymnasium.Env):
    """Replace the operations of an architecture so that it gets more accurate and never more expensive.

    ## Description
    The transition MDP of NAT and NAT++ (arXiv 1910.14488, 2102.10301). The state is an architecture of E slots, the
    action names one of K primitives for each slot, and the reward is the gain in validation score.

    ## Observation Space
    Dict of `ops` (E,) vocabulary indices, `adjacency` (E, E) with [i, j] = 1 where slot j reads the node that slot i
    writes, `features` (E, F) in [0, 1] (`natrl.spaces.FEATURES`), and `action_mask` (E, K) with 1 = allowed.

    ## Action Space
    MultiDiscrete([K] · E). A choice outside the mask keeps the slot's operation and counts in
    `info["invalid_actions"]`, or raises ValueError with `invalid_action="raise"`. Valid choices that together would cut
    the last path from input to output are undone for as few slots as needed; `info["repaired"]` counts them.

    ## Rewards
    score(α) − score(β), for each transform. With `evaluator.metric == "accuracy"` a score is a validation accuracy in
    [0, 1].

    ## Starting State
    Drawn by `initial`: "uniform" (the space's own distribution), "pool:N" (N fixed samples), or given architectures.
    `reset(options={"architecture": a})` starts from a.

    ## Episode End
    Terminates after `horizon` transforms; never truncates.

    ## Arguments
    `space`, `evaluator` ("table:nasbench201", "table:FILE" or an Evaluator), `rule` ("nat" | "nat++"), `cost`
    ("strict" | "rule" | "live"), `initial`, `horizon`, `reward_clip`, `invalid_action` ("keep" | "raise"),
    `render_mode` ("ansi").

    ## Version History
    v0: first version.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012  # Gymnasium's convention

    def __init__(
        self,
        *,
        space: str | Space = "nasbench201",
        evaluator: str | Evaluator = "table:nasbench201",
        rule: Rule = "nat++",
        cost: CostMode = "strict",
        initial: Initial = "uniform",
        horizon: int = 1,
        reward_clip: float | None = None,
        invalid_action: InvalidAction = "keep",
        render_mode: str | None = None,
    ) -> None:
        if horizon < 1:
            raise ValueError(f"horizon must be at least 1, got {horizon}")
        self.core = TransitionCore(
            space=space,
            evaluator=evaluator,
            rule=rule,
            cost=cost,
            initial=initial,
            invalid_action=invalid_action,
            reward_clip=reward_clip,
        )
        self.horizon = horizon
        self.render_mode = render_mode
        self.observation_space = self.core.observation_space()
        self.action_space = gymnasium.spaces.MultiDiscrete([len(self.core.space.primitives)] * self.core.space.n_slots)
        self._initial: Architecture | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Starts an episode; `options={"architecture": a}` starts it from a. ValueError if a is not of the space."""
        super().reset(seed=seed)
        given = (options or {}).get("architecture")
        self._initial = self.core.space.check(given) if given is not None else self.core.sample(self.np_random)
        self._present = self._initial
        self._transforms = 0
        self._initial_score = self._score = float(self.core.scores([self._initial])[0])
        return self._observe(), self._info(invalid=0, repaired=0)

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Applies one transform, int (E,)."""
        if self._initial is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        applied = self.core.apply([self._present], np.asarray(action)[None], self._masks[None])
        before = self._score
        self._present = applied.architectures[0]
        self._score = float(self.core.scores([self._present])[0])
        self._transforms += 1
        reward = float(self.core.rewards(before, self._score))
        observation = self._observe()
        info = self._info(invalid=int(applied.invalid[0]), repaired=int(applied.repaired[0]))
        return observation, reward, self._transforms >= self.horizon, False, info

    def action_masks(self) -> np.ndarray:
        """bool (E·K,): the mask of the present state, flat as sb3-contrib wants it."""
        return self._masks.ravel()

    def render(self) -> str | None:  # type: ignore[override]
        """With render_mode="ansi": the slots, changed operations marked."""
        if self.render_mode != "ansi" or self._initial is None:
            return None
        return describe(self._initial, self._present, self._initial_score, self._score)

    def close(self) -> None:
        self.core.evaluator.close()

    def _observe(self) -> dict[str, np.ndarray]:
        self._masks = self.core.masks([self._present])[0]
        observation = self.core.observe([self._present], self._masks[None])
        return {name: array[0] for name, array in observation.items()}

    def _info(self, invalid: int, repaired: int) -> dict[str, Any]:
        info = self.core.info(self._initial, self._present, (self._initial_score, self._score))  # type: ignore[arg-type]
        return {**info, "invalid_actions": invalid, "repaired": repaired, "action_mask": self._masks}
