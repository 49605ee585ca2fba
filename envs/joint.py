"""The joint environment: one action replaces the operations of all slots at once, as in the papers."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from natrl.core.transitions import check_choice, CostMode, Rule
from natrl.envs.budgets import EnvBudget
from natrl.envs.core import InvalidAction, TransitionCore
from natrl.envs.door import check_action, check_observation, given_architecture
from natrl.envs.episodes import Episodes
from natrl.envs.initial import Initial
from natrl.envs.viewer import describe, drawn, RENDER_MODES, RenderMode, Screen, shows_windows, View
from natrl.evaluation import Evaluator
from natrl.spaces import Batch, Space

__all__ = ["ArchTransitionEnv", "one_of"]

#: What of `info` are numbers.
NUMBERS = frozenset(
    (
        *("score", "initial_score", "params", "madds", "initial_params", "initial_madds", "max_params", "max_madds"),
        *("invalid_actions", "repaired"),
    )
)


class ArchTransitionEnv(gymnasium.Env):
    """Replace the operations of an architecture so that it gets more accurate and never more expensive.

    ## Description
    The transition MDP of NAT and NAT++ (arXiv 1910.14488, 2102.10301). The state is an architecture of E slots, the
    action names one of K primitives for each slot, and the reward is the gain in validation score.

    ## Observation Space
    Dict of `ops` (E,) vocabulary indices, `adjacency` (E, E) with [i, j] = 1 where slot j reads the node that slot i
    writes, `features` (E, F) in [0, 1] (`natrl.spaces.FEATURES`), and `action_mask` (E, K) with 1 = allowed. With a
    `horizon` above 1 also `left`, the number of transforms to come (0 at the end): without it the MDP is none. With a
    `budget` also `costs` (E, K, 2), the parameters and MAdds of each primitive in each slot, and `budget` (2,), what
    all slots may cost together (infinite where nothing limits it).

    ## Action Space
    MultiDiscrete([K] · E). A choice outside the mask, or of no primitive at all, keeps the slot's operation and counts
    in `info["invalid_actions"]`, or raises ValueError with `invalid_action="raise"`. Anything but whole numbers in that
    shape raises ValueError (both are gymnasium.error.InvalidAction, too). Valid choices that together would cut the
    last path from input to output are undone for as few slots as needed, and those for which the budget has nothing
    left when slots are gone through in their order; `info["repaired"]` counts both. With a budget a choice is masked
    where it exceeds it even if all other slots cost the least they can.

    ## Rewards
    score(α) − score(β), for each transform. With `evaluator.metric == "accuracy"` a score is a validation accuracy in
    [0, 1]. An evaluation that fails raises; with an evaluator that skips failures the score is NaN, and the reward the
    lowest so far (−1 before there is any).

    ## Starting State
    Drawn by `initial`: "uniform" (the space's own distribution), "training" or "held-out" (four fifths of it, and the
    other one), "pool:N" or "pool:N:SEED" (N fixed samples),
    "original" (a network as it is), or given architectures.
    `reset(options={"architecture": a})` starts from a.

    ## Episode End
    Terminates after `horizon` transforms; never truncates.

    ## Arguments
    `space`, `evaluator` ("table:nasbench201", "table:FILE" or an Evaluator), `rule` ("nat" | "nat++"), `cost`
    ("strict" | "rule" | "live"), `initial`, `horizon`, `reward_clip`, `invalid_action` ("keep" | "raise"), `budget`
    (what the network may cost at the end of each transform, `info["max_params"]` and `info["max_madds"]`: a number, a
    share of the initial architecture's as in {"madds": "80%"}, or "any", drawn anew for each episode between the least
    that can be reached and what the initial one costs; a limit out of reach is as low as can be reached),
    `render_mode` ("ansi": text; "rgb_array": a picture, uint8 (960, 1280, 3); "human": the picture in a window).

    ## Version History
    v0: first version.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 1}  # noqa: RUF012  # Gymnasium's convention

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
        budget: EnvBudget | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None:
            check_choice("render_mode", render_mode, RenderMode)
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
        )
        self.horizon = self.core.horizon
        self.render_mode = render_mode
        if not shows_windows():
            self.metadata = {**self.metadata, "render_modes": [mode for mode in RENDER_MODES if mode != "human"]}
        self._window = Screen(type(self).__name__) if render_mode == "human" else None
        self.observation_space = self.core.observation_space()
        self._primitives = len(self.core.space.primitives)
        self._action_shape: tuple[int, ...] = (self.core.space.n_slots,)
        self.action_space = gymnasium.spaces.MultiDiscrete([self._primitives] * self.core.space.n_slots)
        self._episodes: Episodes | None = None
        self._seen = False  # the first observation was checked

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Starts an episode; `options={"architecture": a}` starts it from a. ValueError if a is not of the space."""
        given = given_architecture(options)
        super().reset(seed=seed)
        self._start(self.core.check([given], 1) if given is not None else self.core.draw(self.np_random, 1))
        observation = self._observe()
        if not self._seen:
            check_observation(observation, self.observation_space)
            self._seen = True
        self._show()
        return observation, self._info()

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Applies one transform, int (E,)."""
        episodes = self._running()
        action = check_action(action, self._action_shape, self._primitives)
        reward = float(episodes.transform(action[None])[0])
        observation = self._observe()
        self._show()
        return observation, reward, episodes.ended, False, self._info()

    @property
    def action_mask(self) -> np.ndarray:
        """bool (E, K): the mask of the present state."""
        return self._running().masks[0].copy()

    def action_masks(self) -> np.ndarray:
        """`action_mask` flat, slot after slot, as sb3-contrib wants it."""
        return self.action_mask.ravel()

    def render(self) -> str | np.ndarray | None:  # type: ignore[override]
        """The episode as the render mode says; a window is kept up to date by `reset` and `step`, so None for it."""
        if self.render_mode == "ansi":
            return describe(self._view())
        if self.render_mode == "rgb_array":
            return self._picture()
        return None

    def close(self) -> None:
        self.core.evaluator.close()
        if self._window is not None:
            self._window.close()

    def _view(self) -> View:
        self._running()
        info = self._info()
        return View(info["initial_architecture"], info["architecture"], info["initial_score"], info["score"])

    def _show(self) -> None:
        if self._window is not None:
            self._window.show(self._picture(), 1 / self.metadata["render_fps"])

    def _picture(self) -> np.ndarray:
        return drawn(self._view(), self.core.space)

    def _start(self, initial: Batch) -> None:
        self._episodes = Episodes(self.core, initial, self.np_random)

    def _running(self) -> Episodes:
        if self._episodes is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        return self._episodes

    def _observe(self) -> dict[str, np.ndarray]:
        return {name: array[0] for name, array in self._running().observe().items()}

    def _info(self) -> dict[str, Any]:
        return one_of(self._running().info())


def one_of(values: dict[str, Any]) -> dict[str, Any]:
    """Of the values of one episode alone: as Python's own numbers."""
    return {name: of_each.item() if name in NUMBERS else of_each[0] for name, of_each in values.items()}
