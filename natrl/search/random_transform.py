"""Random valid transformations, and the best of many: what a policy has to beat. E slots, N draws."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from natrl.core.architecture import Architecture
from natrl.core.isomorphism import function_key
from natrl.core.operations import VOCABULARY_INDEX
from natrl.core.transitions import CostMode, Rule
from natrl.evaluation.base import Evaluator, FailedEvaluations
from natrl.search.cost_levels import CostLevels
from natrl.search.reachable import Reachable
from natrl.spaces import Space

__all__ = ["best_of_random", "cost_matched_random", "random_transforms", "random_within"]

MOST_LISTED = 2**14  # choices that are all looked at
DRAWS = 1024  # of more choices than that, at once
SPREAD = 4096  # … where costs are known after the choice only
POOL = 1024  # random transformations, of which those are scored that come nearest to a budget


def random_transforms(
    space: Space,
    architecture: Architecture,
    n: int,
    rng: np.random.Generator,
    *,
    rule: Rule = "nat++",
    cost: CostMode = "strict",
) -> list[Architecture]:
    """n random valid transformations, live if the architecture is.

    For each a share of slots to change is drawn from [0, 1], so that every saving is represented; each of those slots
    becomes one of its allowed primitives, all equally likely. (Uniform choices in all slots at once would change nearly
    everything, and disconnect most networks.)
    """
    box = Reachable(space, architecture, rule=rule, cost=cost)
    own = [space.primitives.index(op) for op in architecture.operations]
    weights = box.masks / box.masks.sum(-1, keepdims=True)
    drawn = (rng.random((n, len(own), 1)) > weights.cumsum(-1)).sum(-1)  # (n, E)
    return box.apply(architecture, np.where(rng.random((n, len(own))) < rng.random((n, 1)), drawn, own))


def best_of_random(
    space: Space, architecture: Architecture, evaluator: Evaluator, *, madds: float, scores: int, seed: int
) -> Architecture:
    """Of `scores` random transformations that come nearest to so many MAdds, and have no more, the best by its score.

    Those that cannot be scored are left out. ValueError where there is none (`random_within`), or none can be scored.
    """
    within = random_within(space, architecture, madds=madds, seed=seed)[-scores:]
    try:
        found = evaluator.evaluate(within)
    except FailedEvaluations as error:
        found = error.scores
    if np.isnan(found).all():
        raise ValueError(f"none of {len(within)} random transformations can be scored")
    return within[int(np.nanargmax(found))]


def random_within(space: Space, architecture: Architecture, *, madds: float, seed: int) -> list[Architecture]:
    """Of 1,024 random transformations those that have at most so many MAdds, the dearest last. ValueError if none."""
    drawn = random_transforms(space, architecture, POOL, np.random.default_rng(seed))
    costs = {a: space.cost(a).madds for a in drawn}
    within = sorted((a for a, cost in costs.items() if cost <= madds), key=costs.__getitem__)
    if not within:
        least = min(costs.values())
        raise ValueError(
            f"none of {POOL:,} random transformations has at most {madds:,.0f} MAdds; the cheapest has {least:,}"
        )
    return within


def cost_matched_random(
    space: Space,
    architecture: Architecture,
    madds: int,
    seed: int,
    *,
    rule: Rule = "nat++",
    cost: CostMode = "strict",
) -> Architecture:
    """A uniform draw among the other valid transformations whose MAdds are nearest to `madds`, live if the original is.

    Other ones compute another function (`function_key`): one that differs in what no input can tell
    would be the original under another name. Only where there is none, one of the same function is given, and only
    where nothing can change at all, the original itself. The architecture and the seed determine the draw.

    Up to 16,384 choices are all looked at, so the draw is exactly uniform. Of more, 1,024 uniform draws from the level
    of the nearest MAdds are looked at (exactly uniform, too), and where none of them is another live transformation,
    draws from twice as many levels each time. Where costs are rounded (`CostLevels`) it is the nearest of these draws.
    Where `space` drops what became unused, as a user's network does, a choice may cost less than its operations say:
    there it is the nearest of 4,096 draws that are spread evenly over the levels from `madds` on.
    """
    box = Reachable(space, architecture, rule=rule, cost=cost)
    rng = np.random.default_rng([seed, zlib.crc32(architecture.key.encode())])
    own, same_function = function_key(architecture), architecture
    for choices in _by_distance(box, madds, rng):
        for found in _nearest_first(box, choices, madds, rng):
            if function_key(found) != own:
                return found
            if same_function == architecture:
                same_function = found
    return same_function


def _by_distance(box: Reachable, madds: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Choices int (N, E), those of nearer MAdds sooner: all at once where they are few."""
    sizes = box.masks.sum(-1)
    if np.log2(sizes).sum() <= np.log2(MOST_LISTED):
        nth = np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=-1)  # (N, E)
        allowed = np.argsort(~box.masks, axis=-1, kind="stable")  # those of each slot first
        yield allowed[np.arange(len(sizes)), nth]
        return
    table = box.space.cost_table(box.architecture)
    levels = CostLevels(table.slots[:, [VOCABULARY_INDEX[p] for p in box.space.primitives], 1], box.masks)
    distances = np.abs(levels.sums + table.fixed.madds - madds)
    nearest = np.argsort(distances, kind="stable")
    if type(box.space).pruned is not Space.pruned:
        first = min(int(np.searchsorted(levels.sums, madds - table.fixed.madds)), len(levels.sums) - 1)
        yield levels.draw(levels.sums[np.linspace(first, len(levels.sums) - 1, SPREAD).round().astype(int)], rng)
    start, count = 0, int((distances == distances.min()).sum())  # two where one is above and one below
    while start < len(nearest):
        group = nearest[start : start + count]
        shares = levels.shares[group]
        yield levels.draw(rng.choice(levels.sums[group], size=DRAWS, p=shares / shares.sum()), rng)
        start, count = start + count, 2 * count


def _nearest_first(box: Reachable, choices: np.ndarray, madds: int, rng: np.random.Generator) -> Iterator[Architecture]:
    """What these choices make where all of them can be carried out; of equal distance in random order."""
    made, _ = box.carried_out(choices)
    distances = np.abs(made.costs[:, 1] - madds)
    for distance in np.unique(distances):
        level = made.with_choices(np.unique(made.choices[distances == distance], axis=0))
        for i in rng.permutation(len(level)).tolist():
            yield level[i]
