"""The transition MDP on batches, shared by all environments. N rows, E slots, K primitives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import gymnasium
import numpy as np

from natrl.core.architecture import Architecture
from natrl.core.operations import VOCABULARY
from natrl.core.transitions import check_choice, CostMode, Rule
from natrl.envs.budgets import draw_budget, EnvBudget, read_budget
from natrl.envs.door import above_zero, architectures, outside, RefusedAction, whole_number
from natrl.envs.initial import Initial, make_sampler
from natrl.evaluation import CachedEvaluator, Evaluator
from natrl.evaluation.rewards import build_evaluator
from natrl.spaces import Batch, FEATURES, Space, Transition, transition
from natrl.spaces import space as find_space
from natrl.spaces.budgeted import Budgeted

__all__ = ["InvalidAction", "TransitionCore"]

InvalidAction = Literal["keep", "raise"]


class TransitionCore:
    """States, masks, transitions and rewards.

    Every architecture is scored once a weights version (`CachedEvaluator`). The reward of a transition from β to α is
    score(α) − score(β) (arXiv 1910.14488, eq. 4), clipped to ±`reward_clip` where that is given. Where an evaluator
    that skips failures (`CachedEvaluator(on_failure="skip")`) could not give one of the scores (NaN), it is the lowest
    reward of the batch; where all of a batch failed, the lowest one so far; before there is any, −1.
    """

    def __init__(
        self,
        *,
        space: str | Space,
        evaluator: str | Evaluator,
        rule: Rule,
        cost: CostMode,
        initial: Initial,
        horizon: int,
        invalid_action: InvalidAction,
        reward_clip: float | None = None,
        budget: EnvBudget | None = None,
        group_size: int = 1,
    ) -> None:
        self.space = find_space(space)
        check_choice("rule", rule, Rule)
        check_choice("cost mode", cost, CostMode)
        check_choice("invalid_action", invalid_action, InvalidAction)
        if reward_clip is not None:
            above_zero("reward_clip", reward_clip)
        self.horizon = whole_number("horizon", horizon)
        self.budget = read_budget(budget)
        self.group_size = whole_number("group_size", group_size)
        self.evaluator = make_evaluator(evaluator, self.space)
        self.rule: Rule = rule
        self.cost: CostMode = cost
        self.lowest_reward: float | None = None  # so far; kept where evaluations may fail
        self._drawn = False  # the first initial state was checked
        self._sample = make_sampler(self.space, initial)
        self._invalid_action = invalid_action
        self._reward_clip = reward_clip

    def observation_space(self) -> gymnasium.spaces.Dict:
        """Of one environment, without the sequential environment's "slot"."""
        slots, primitives = self.space.n_slots, len(self.space.primitives)
        box = gymnasium.spaces.Box
        entries: dict[str, gymnasium.Space] = {
            "ops": gymnasium.spaces.MultiDiscrete([len(VOCABULARY)] * slots),
            "adjacency": box(0, 1, (slots, slots), np.int8),
            "features": box(0, 1, (slots, len(FEATURES)), np.float32),
            "action_mask": gymnasium.spaces.MultiBinary((slots, primitives)),
        }
        if self.horizon > 1:
            entries["left"] = gymnasium.spaces.Discrete(self.horizon + 1)
        if self.budget is not None:
            entries["costs"] = box(0, np.inf, (slots, primitives, 2), np.float64)
            entries["budget"] = box(0, np.inf, (2,), np.float64)
        return gymnasium.spaces.Dict(entries)

    def check(self, given: Sequence[Architecture], n: int) -> Batch:
        """n given initial states. ValueError on another number, or if one is not of the space."""
        found = architectures('options["architecture"]', given)
        if len(found) != n:
            raise ValueError(f"expected {n} architectures, got {len(found)}")
        return Batch.of(self.space, [self.space.check(a) for a in found])

    def draw(self, rng: np.random.Generator, n: int) -> Batch:
        """n initial states, `group_size` in a row alike; n is a multiple of it."""
        group_size = self.group_size
        drawn = self._sample(rng, n // group_size)
        if not self._drawn:
            self.space.check(drawn[0])
            self._drawn = True
        return drawn if group_size == 1 else drawn.take(np.repeat(np.arange(len(drawn)), group_size))

    def masks(self, states: Batch, budgeted: Budgeted | None) -> np.ndarray:
        """bool (N, E, K)."""
        masks = states.masks(self.rule, self.cost)
        return masks if budgeted is None else budgeted.within(masks)

    def budgeted(self, initial: Batch, rng: np.random.Generator) -> Budgeted | None:
        """What the episodes from these architectures may spend; None: what they like."""
        if self.budget is None:
            return None
        return draw_budget(self.budget, initial, initial.masks(self.rule, self.cost), rng, self.group_size)

    def observe(self, states: Batch, left: int) -> dict[str, np.ndarray]:
        """The observation arrays without masks, batch first; `left` transforms are to come."""
        arrays = states.encode()
        if self.horizon > 1:
            arrays["left"] = np.full(len(states), left)
        return arrays

    def apply(
        self, states: Batch, actions: np.ndarray, masks: np.ndarray, budgeted: Budgeted | None = None
    ) -> Transition:
        """The states after a joint action int (N, E). RefusedAction on an invalid one if so asked for."""
        wrong = outside(actions, masks.shape[-1])
        actions = actions.astype(np.int64, copy=False)
        if wrong is None:
            changed = transition(states, actions, masks)
        else:
            changed = transition(states, np.where(wrong, states.choices, actions), masks)
            changed = changed._replace(invalid=changed.invalid + wrong.sum(-1))
        if budgeted is not None:
            choices, undone = budgeted.enforced(states, changed.batch.choices, masks)
            changed = changed._replace(batch=states.with_choices(choices), repaired=changed.repaired + undone)
        if self._invalid_action == "raise" and changed.invalid.any():
            i = int(np.argmax(changed.invalid > 0))
            self.refuse(states[i], int(changed.invalid[i]))
        return changed

    def refuse(self, architecture: Architecture, choices: int) -> None:
        """RefusedAction on choices outside the mask, if invalid_action="raise"."""
        if self._invalid_action == "raise":
            raise RefusedAction(f"{choices} of the choices are outside the action mask of {architecture.key}")

    def scores(self, states: Batch) -> np.ndarray:
        """float64 (N,): validation scores, one evaluator call for all."""
        return self.evaluator.evaluate(states)

    def rewards(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """float64 (N,), from the scores before and after."""
        gain = after - before
        if self.evaluator.on_failure == "skip":
            gain = self._without_failures(gain)
        return gain if self._reward_clip is None else np.clip(gain, -self._reward_clip, self._reward_clip)

    def _without_failures(self, gain: np.ndarray) -> np.ndarray:
        """The gains with the lowest of them, or the lowest so far, in the place of NaN."""
        failed = np.isnan(gain)
        known = gain[~failed]
        if known.size:
            lowest = float(known.min())
            self.lowest_reward = lowest if self.lowest_reward is None else min(lowest, self.lowest_reward)
        else:
            lowest = -1.0 if self.lowest_reward is None else self.lowest_reward
        return np.where(failed, lowest, gain)


def make_evaluator(evaluator: str | Evaluator, space: Space) -> CachedEvaluator:
    """The evaluator behind a cache; a string names one that needs no more than the space, such as "table:FILE"."""
    if isinstance(evaluator, CachedEvaluator):
        return evaluator
    if isinstance(evaluator, str):
        evaluator = build_evaluator(evaluator, space=space)
    return CachedEvaluator(evaluator)
