"""The transition MDP on batches, shared by all environments. N rows, E slots, K primitives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args, Literal

import gymnasium
import numpy as np

from natrl.architecture import Architecture
from natrl.envs.initial import Initial, make_sampler
from natrl.evaluation import CachedEvaluator, Evaluator, load_table
from natrl.operations import VOCABULARY
from natrl.spaces import Batch, FEATURES, Space, Transition, transition
from natrl.spaces import space as find_space
from natrl.transitions import CostMode, Rule, transition_matrix

__all__ = ["InvalidAction", "TransitionCore"]

InvalidAction = Literal["keep", "raise"]


class TransitionCore:
    """States, masks, transitions and rewards.

    Every architecture is scored once a weights version (`CachedEvaluator`). The reward of a transition from β to α is
    score(α) − score(β) (arXiv 1910.14488, eq. 4), clipped to ±`reward_clip` where that is given. It is 0 where an
    evaluator that skips failures (`CachedEvaluator(on_failure="skip")`) could not give one of the scores (NaN).
    """

    def __init__(
        self,
        *,
        space: str | Space,
        evaluator: str | Evaluator,
        rule: Rule,
        cost: CostMode,
        initial: Initial,
        invalid_action: InvalidAction,
        reward_clip: float | None = None,
    ) -> None:
        self.space = find_space(space)
        transition_matrix(self.space.primitives, rule)  # refuses an unknown rule
        if invalid_action not in get_args(InvalidAction):
            known = ", ".join(get_args(InvalidAction))
            raise ValueError(f"unknown invalid_action {invalid_action!r}; known: {known}")
        if reward_clip is not None and not reward_clip > 0:
            raise ValueError(f"reward_clip must be above 0, got {reward_clip}")
        self.evaluator = make_evaluator(evaluator)
        self.rule: Rule = rule
        self.cost: CostMode = cost
        self._sample = make_sampler(self.space, initial)
        self._invalid_action = invalid_action
        self._reward_clip = reward_clip

    def observation_space(self) -> gymnasium.spaces.Dict:
        """Of one environment, without the sequential environment's "slot"."""
        slots, primitives = self.space.n_slots, len(self.space.primitives)
        box = gymnasium.spaces.Box
        return gymnasium.spaces.Dict(
            {
                "ops": gymnasium.spaces.MultiDiscrete([len(VOCABULARY)] * slots),
                "adjacency": box(0, 1, (slots, slots), np.int8),
                "features": box(0, 1, (slots, len(FEATURES)), np.float32),
                "action_mask": gymnasium.spaces.MultiBinary((slots, primitives)),
            }
        )

    def check(self, architectures: Sequence[Architecture]) -> Batch:
        """Given initial states. ValueError if one is not of the space."""
        return Batch.of(self.space, [self.space.check(a) for a in architectures])

    def draw(self, rng: np.random.Generator, n: int, group_size: int = 1) -> Batch:
        """n initial states, `group_size` in a row alike; n is a multiple of it."""
        drawn = self._sample(rng, n // group_size)
        return drawn if group_size == 1 else drawn.take(np.repeat(np.arange(len(drawn)), group_size))

    def masks(self, states: Batch) -> np.ndarray:
        """bool (N, E, K)."""
        return states.masks(self.rule, self.cost)

    def observe(self, states: Batch, masks: np.ndarray) -> dict[str, np.ndarray]:
        """The observation arrays, batch first."""
        return {**states.encode(), "action_mask": masks.astype(np.int8)}

    def apply(self, states: Batch, actions: np.ndarray, masks: np.ndarray) -> Transition:
        """The states after a joint action int (N, E). ValueError on an invalid one if so asked for."""
        changed = transition(states, np.asarray(actions), masks)
        if self._invalid_action == "raise" and changed.invalid.any():
            i = int(np.argmax(changed.invalid > 0))
            self.refuse(states[i], int(changed.invalid[i]))
        return changed

    def refuse(self, architecture: Architecture, choices: int) -> None:
        """ValueError on choices outside the mask, if invalid_action="raise"."""
        if self._invalid_action == "raise":
            raise ValueError(f"{choices} of the choices are outside the action mask of {architecture.key}")

    def scores(self, states: Batch) -> np.ndarray:
        """float64 (N,): validation scores, one evaluator call for all."""
        return self.evaluator.evaluate(states)

    def rewards(self, before: np.ndarray | float, after: np.ndarray | float) -> np.ndarray:
        """float64 (N,), or () for one pair, from the scores before and after."""
        gain = np.nan_to_num(np.asarray(after - before), nan=0.0)
        return gain if self._reward_clip is None else np.clip(gain, -self._reward_clip, self._reward_clip)


def make_evaluator(evaluator: str | Evaluator) -> CachedEvaluator:
    """The evaluator behind a cache; a string names a table ("table:nasbench201", "table:FILE")."""
    if isinstance(evaluator, CachedEvaluator):
        return evaluator
    if isinstance(evaluator, str):
        kind, _, source = evaluator.partition(":")
        if kind != "table" or not source:
            raise ValueError(f"unknown evaluator {evaluator!r}; known: 'table:NAME', 'table:FILE', or an Evaluator")
        evaluator = load_table(source)
    return CachedEvaluator(evaluator)
