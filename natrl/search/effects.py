"""What single replacements do to a score, learned from few of them and from what several do together.

R replacements (natrl.search.replacements), N architectures, F features, L prices of what is saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import product

import numpy as np

from natrl.core.architecture import Architecture
from natrl.evaluation.base import Evaluator, Metric
from natrl.search.combinations import best_combinations
from natrl.search.replacements import Replacements
from natrl.spaces import Batch
from natrl.spaces.budget import Budget

__all__ = ["Effects", "EffectsEvaluator"]

RIDGE = 0.3  # prior variance of a feature's weight, inverse, in that of what is left
SMALL = 0.1  # of the scored effects: where their scale goes from straight to logarithmic
PRICES = 40  # that are looked at, from the cheapest to the dearest worth
NEAR = 8.0  # factor around the price at which a budget is met
ROUNDS = 60  # of bisection of that price
OPTIMA = 2  # combinations that are looked at where no price makes anything new: they may lie between two prices
#: Standard deviations that are tried: of an effect beside others, as a share of it and of the mean one; and of what no
#: sum explains, as a share of the sums.
SHARES = (0.1, 0.2, 0.4, 0.8)
FLOORS = (0.03, 0.1, 0.3)
NOISES = (0.02, 0.05, 0.1)
COLD = 0.25  # of the deviations of what is drawn: more looked too far from what is likely
USUAL = (0.2, 0.1)  # where nothing was scored together yet


class Effects:
    """What each replacement by itself adds to a score, float64 (R,), and what that says of several made together.

    Those that nobody scored are guessed from others of the same slot and of the same operation. `wanted` names the ones
    that would be made at some price of what is saved, or within the budget, if they did as little harm as they may:
    only these are worth an evaluation. Sums are taken for what replacements do together (LANA, arXiv 2107.10624).
    Where some were scored together, `means` are Bayesian linear regression's on these, with the effects by themselves
    as prior means and variances of the greatest likelihood.
    """

    def __init__(self, replacements: Replacements, first: float, seed: int = 0) -> None:
        """`first`: the original's score; `seed` draws the replacements that are scored first."""
        self.replacements, self.first = replacements, first
        self._alone = np.full(len(replacements), np.nan)
        self._failed = np.zeros(len(replacements), dtype=bool)
        self._rows, self._together = np.zeros((0, len(replacements))), np.zeros(0)
        self._rng = np.random.default_rng(seed)

    def learn(self, which: np.ndarray, scores: np.ndarray) -> None:
        """Scores float64 of the replacements int `which`, each by itself; NaN: it cannot be scored, so not be made."""
        self._alone[which] = scores - self.first
        self._failed[which] = np.isnan(scores)
        self._forget()

    def learn_together(self, architectures: Sequence[Architecture], scores: np.ndarray) -> None:
        """Scores float64 (N,) of replacements made together."""
        self._rows = np.concatenate([self._rows, self.made_of(architectures)])
        self._together = np.concatenate([self._together, scores - self.first])
        self._forget()

    def _forget(self) -> None:
        for name in ("_guessed", "_belief"):
            self.__dict__.pop(name, None)

    @property
    def scored(self) -> np.ndarray:
        """bool (R,): each was scored by itself, or could not be."""
        return ~np.isnan(self._alone) | self._failed

    def wanted(self, budget: Budget | None = None) -> np.ndarray:
        """int: replacements whose scores may matter next; none any more: the others are not worth one.

        First one of each slot, at random. `budget`: only what may be made near it; None: at any.
        """
        slots, scored = self.replacements.slots, self.scored
        if not scored.any():
            order = self._rng.permutation(len(slots))
            return np.sort(order[np.unique(slots[order], return_index=True)[1]])
        hopeful = np.where(scored, self._alone, self._guessed[1])
        found = np.flatnonzero(self._worth_it(hopeful, budget or Budget()) & ~scored)
        if len(found) or not budget:
            return found
        best = best_combinations(self.replacements, hopeful, budget, OPTIMA)
        made = self.made_of([combination.architecture for combination in best]).any(0)
        return np.flatnonzero(made & ~scored)

    def _worth_it(self, effects: np.ndarray, budget: Budget) -> np.ndarray:
        """bool (R,): those that are best in their slot at some price of what is saved, or at those near the budget."""
        found = np.zeros(len(effects), dtype=bool)
        for saved, least in zip(self._savings(budget).T, self._least_savings(budget), strict=True):
            if not (some := (saved > 0) & (effects < 0)).any():
                continue
            ratios = -effects[some] / saved[some]
            low, high = ratios.min() / 2, 2 * ratios.max()
            if least > 0:
                price = self._price(effects, saved, least, low, high)
                low, high = price / NEAR, price * NEAR
            for price in np.geomspace(low, high, PRICES):
                found |= self._best(effects + price * saved)
        return found | self._best(effects)

    def _savings(self, budget: Budget) -> np.ndarray:
        """float64 (R, L): what is saved of what the budget limits; of both where it limits nothing."""
        limited = np.isfinite(budget.limits)
        return self.replacements.savings[:, limited if limited.any() else slice(None)].astype(float)

    def _least_savings(self, budget: Budget) -> np.ndarray:
        limits = budget.limits[np.isfinite(budget.limits)]
        cost = self.replacements.cost[np.isfinite(budget.limits)]
        return cost - limits if len(limits) else np.zeros(2)

    def _price(self, effects: np.ndarray, saved: np.ndarray, least: float, low: float, high: float) -> float:
        """At which the best of every slot save so much."""
        for _ in range(ROUNDS):
            middle = float(np.sqrt(low * high))
            enough = saved[self._best(effects + middle * saved)].sum() >= least
            low, high = (low, middle) if enough else (middle, high)
        return high

    def _best(self, worth: np.ndarray) -> np.ndarray:
        """bool (R,): the best of each slot, if it is worth something."""
        worth = np.nan_to_num(worth, nan=-np.inf)
        order = np.lexsort((-worth, self.replacements.slots))
        best = order[np.unique(self.replacements.slots[order], return_index=True)[1]]
        found = np.zeros(len(worth), dtype=bool)
        found[best[worth[best] > 0]] = True
        return found

    @cached_property
    def _guessed(self) -> tuple[np.ndarray, np.ndarray]:
        """float64 (R,) each: what the effects may be, and what they are one standard deviation above that.

        Ridge regression, on a scale that is logarithmic beyond small effects of either sign.
        """
        known = ~np.isnan(self._alone)
        unit = max(SMALL * float(np.median(np.abs(self._alone[known]))), 1e-9)
        targets = np.arcsinh(self._alone[known] / unit)
        rows, mean = self._features[known], targets.mean()
        inverse = np.linalg.inv(rows.T @ rows + RIDGE * np.eye(rows.shape[1]))
        weights = inverse @ rows.T @ (targets - mean)
        freedom = max(1.0, len(rows) - np.trace(inverse @ rows.T @ rows))
        left = float(((targets - mean - rows @ weights) ** 2).sum() / freedom)
        guesses = mean + self._features @ weights
        deviations = np.sqrt(left * (1 + np.einsum("rf,fg,rg->r", self._features, inverse, self._features)))
        return unit * np.sinh(guesses), unit * np.sinh(guesses + deviations)

    @cached_property
    def _features(self) -> np.ndarray:
        """float64 (R, F): its slot, its operation, and the logarithm of the MAdds that it saves."""
        slots, primitives = self.replacements.slots, self.replacements.primitives
        saved = np.log(np.maximum(self.replacements.savings[:, 1], 1)) / 3
        columns = [*(slots == s for s in np.unique(slots)), *(primitives == p for p in np.unique(primitives)), saved]
        return np.stack(columns, axis=1).astype(float)

    def made_of(self, architectures: Sequence[Architecture] | Batch) -> np.ndarray:
        """float64 (N, R), 0 or 1: the replacements that are made in each."""
        replacements = self.replacements
        batch = (
            architectures if isinstance(architectures, Batch) else Batch.of(replacements.box.space, [*architectures])
        )
        changed = replacements.changed
        made = ((batch.choices[:, None] == replacements.batch.choices) | ~changed).all(-1)
        part = (changed.sum(1)[:, None] < changed.sum(1)) & ~(changed[:, None] & ~changed).any(-1)  # of a larger one
        return (made & ~(made.astype(int) @ part.T > 0)).astype(float)

    @property
    def means(self) -> np.ndarray:
        """float64 (R,): what each adds to the score; NaN where that is not known, or it cannot be made."""
        return np.where(np.isnan(self._alone), np.nan, self._prior + self._gain(self._left))

    def drawn(self) -> np.ndarray:
        """float64 (R,): what the effects may be as well, drawn at random not far from `means`; NaN as there."""
        variances, noise = self._belief
        drawn = self._prior + COLD * np.sqrt(variances) * self._rng.standard_normal(len(variances))
        seen = self._rows @ drawn + COLD * np.sqrt(noise) * self._rng.standard_normal(len(self._rows))
        return np.where(np.isnan(self._alone), np.nan, drawn + self._gain(self._together - seen))

    @property
    def _prior(self) -> np.ndarray:
        """float64 (R,): the effects by themselves, guesses where they are not known."""
        alone = np.isnan(self._alone)
        return np.where(alone, self._guessed[0], self._alone) if alone.any() else self._alone

    @property
    def _left(self) -> np.ndarray:
        """float64 (N,): what the sums of effects by themselves leave to explain."""
        return self._together - self._rows @ self._prior

    def _gain(self, left: np.ndarray) -> np.ndarray:
        """float64 (R,): what each effect is changed by where N sums leave this much to explain."""
        if not len(left):
            return np.zeros(len(self._alone))
        variances, noise = self._belief
        return variances * (self._rows.T @ np.linalg.solve(self._covariance(variances, noise), left))

    def _covariance(self, variances: np.ndarray, noise: float) -> np.ndarray:
        """float64 (N, N), of what sums of effects leave to explain."""
        return (self._rows * variances) @ self._rows.T + noise * np.eye(len(self._rows))

    @cached_property
    def _belief(self) -> tuple[np.ndarray, float]:
        """Prior variances of the effects, float64 (R,), and the variance of what no sum explains: the likeliest."""
        prior, left = self._prior, self._left
        unit, size = float(np.abs(prior).mean()), float(np.abs(self._together).mean()) if len(left) else 1.0
        tried = [(USUAL, NOISES[0])] if not len(left) else product(product(SHARES, FLOORS), NOISES)
        found = []
        for (share, floor), noise in tried:
            variances, rest = (share * prior) ** 2 + (floor * unit) ** 2, max((noise * size) ** 2, 1e-18)
            sums = self._covariance(variances, rest)
            likelihood = -float(left @ np.linalg.solve(sums, left) + np.linalg.slogdet(sums)[1])
            found.append((likelihood, variances, rest))
        return max(found, key=lambda one: one[0])[1:]

    def predict(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,): scores, as sums of effects; very low where a replacement is made that cannot be."""
        rows = self.made_of(architectures)
        worst = 10 * min(float(np.nanmin(self._alone, initial=0.0)), -1e-6)
        return self.first + rows @ np.where(self._failed, worst, self._prior + self._gain(self._left))


class EffectsEvaluator(Evaluator):
    """Scores by sums of effects: predictions, of which none is paid for."""

    def __init__(self, effects: Effects, metric: Metric) -> None:
        self.effects, self.metric = effects, metric

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,), within what the metric can be."""
        low, high = (0.0, 1.0) if self.metric == "accuracy" else (-np.inf, 0.0)
        return self.effects.predict(architectures).clip(low, high) if architectures else np.zeros(0)
