"""What a policy is worth within budgets by the published surrogate of NAS-Bench-301: no network is trained for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from natrl.bench.climbing import climb
from natrl.core.architecture import Architecture
from natrl.evaluation import Evaluator
from natrl.evaluation.nasbench301 import SurrogateFile
from natrl.policies import Policy
from natrl.search.random_transform import cost_matched_random
from natrl.spaces import Batch, Space
from natrl.spaces.budgeted import Budgeted

__all__ = ["best_found", "means", "measure_predicted", "reaching"]

PRICES = (0.0, *(0.002 * 2.0**i for i in range(10)))  # of all MAdds, in accuracy
DRAWN = 256  # architectures at once


def means(names: tuple[str, ...], rows: list[list[float]]) -> dict[str, float]:
    """Of each column, in four digits."""
    values = dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))
    return {name: float(f"{value:.4g}") for name, value in values.items()} | {"architectures": len(rows)}


def measure_predicted(
    policy: Policy,
    file: SurrogateFile,
    architectures: list[Architecture],
    share: float,
    chooser: Evaluator | None = None,
    n: int = 10,
) -> dict[str, float]:
    """Means over those of the architectures that have an answer within the share of the MAdds, in predicted points.

    `chooser` chooses among n candidates of the policy; None: its most probable answer.
    """
    space, given = policy.space, Batch.of(policy.space, architectures)
    before = given.take(np.flatnonzero(_least(given) <= share * given.costs[:, 1]))
    limits = share * before.costs[:, 1]
    n = 1 if chooser is None else n
    transformed = [
        policy.transform(a, max_madds=float(k), n=n, evaluator=chooser) for a, k in zip(before, limits, strict=True)
    ]
    first = Batch.of(space, [found.best for found in transformed])
    best = best_found(file.accuracies, before, first, limits)
    pairs = zip(before, first.costs[:, 1].tolist(), strict=True)
    random = Batch.of(space, [cost_matched_random(space, a, madds, 0) for a, madds in pairs])
    now = file.accuracies(before)
    columns = [100 * (file.accuracies(first) - now), 100 * (best - now), 100 * (file.accuracies(random) - now)]
    columns.append(first.costs[:, 1] / before.costs[:, 1])
    names = ("first_answer", "best_found", "random_same_cost", "madds_share")
    return means(names, np.stack(columns, axis=1).tolist())


def reaching(space: Space, share: float, n: int, rng: np.random.Generator) -> list[Architecture]:
    """n random architectures that have an answer within the share of their MAdds."""
    found: list[Architecture] = []
    while len(found) < n:
        drawn = Batch.of(space, [space.sample(rng) for _ in range(DRAWN)])
        found += drawn.take(np.flatnonzero(_least(drawn) <= share * drawn.costs[:, 1]))
    return found[:n]


def _least(batch: Batch) -> np.ndarray:
    """float64 (N,): the fewest MAdds that each can have."""
    return Budgeted.of(batch, batch.costs.astype(float)).least(batch, batch.masks())[:, 1, 1]


def best_found(score: Callable[[Batch], np.ndarray], before: Batch, first: Batch, limits: np.ndarray) -> np.ndarray:
    """float64 (N,): the highest score within the limits of MAdds that was found, by a policy (`first`) or by ascent.

    Ascent goes from the original at each of PRICES, then within the limit from the best of those and of the policy's.
    """
    whole = before.costs[:, 1].mean()
    found = [first]
    for price in PRICES:
        found.append(climb(before, lambda batch, p=price: score(batch) - p * batch.costs[:, 1] / whole))  # type: ignore[misc]
    values = np.array([within(score, batch, limits) for batch in found])
    best = values.max(0)
    for i, limit in enumerate(limits):
        start = found[int(values[:, i].argmax())].take(slice(i, i + 1))
        improved = climb(start, lambda batch, k=limit: within(score, batch, k))  # type: ignore[misc]
        best[i] = max(best[i], within(score, improved, limit)[0])
    return best


def within(score: Callable[[Batch], np.ndarray], batch: Batch, limits: np.ndarray) -> np.ndarray:
    """float64 (N,): scores, −1 above the limits."""
    return np.where(batch.costs[:, 1] <= limits, score(batch), -1.0)
