"""Random valid transformations: what a policy has to beat."""

from __future__ import annotations

import numpy as np

from natrl.architecture import Architecture
from natrl.search.reachable import Reachable
from natrl.spaces import Space
from natrl.transitions import CostMode, Rule

__all__ = ["cost_matched_random", "random_transforms"]


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


def cost_matched_random(
    space: Space,
    architecture: Architecture,
    madds: int,
    rng: np.random.Generator,
    *,
    rule: Rule = "nat++",
    cost: CostMode = "strict",
    draws: int = 4096,
) -> Architecture:
    """A random valid transformation with nearly the given MAdds (the closest of `draws`), live if the architecture is.

    It is another architecture than the given one wherever a draw is; only `madds` equal to the architecture's own
    returns the architecture itself.
    """
    own = space.cost(architecture).madds
    if madds == own:
        return architecture
    candidates = [
        a for a in random_transforms(space, architecture, draws, rng, rule=rule, cost=cost) if a != architecture
    ]
    return min(candidates, key=lambda a: abs(space.cost(a).madds - madds), default=architecture)
