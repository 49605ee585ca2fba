"""Budgets of episodes: what the network may cost at the end of each. N rows, E slots, K primitives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from natrl.spaces import Batch
from natrl.spaces.budget import limit_of, RESOURCES
from natrl.spaces.budgeted import Budgeted

__all__ = ["EnvBudget", "draw_budget", "read_budget"]

#: {"madds": LIMIT, "params": LIMIT}; a limit is a number, a share of the initial network's such as "80%", or "any".
EnvBudget = Mapping[str, float | str]
ANY = "any"
UNBOUND = 0.8  # from this share of the draws on the budget is what the initial network costs


def read_budget(budget: EnvBudget | None) -> dict[str, float | str] | None:
    """ValueError on what is no budget of an environment."""
    if budget is None:
        return None
    if not isinstance(budget, Mapping) or not budget or not set(budget) <= set(RESOURCES):
        example = '{"madds": "80%"} or {"madds": "any"}, of madds and params'
        raise ValueError(f"budget is such as {example}, got {budget!r:.80}")
    for name, limit in budget.items():
        if limit != ANY and limit_of(f"budget {name}", limit, 1.0) is None:
            raise ValueError(f'budget {name} must be a number, a share such as "80%", or "any", got None')
    return dict(budget)


def draw_budget(
    budget: Mapping[str, float | str], initial: Batch, masks: np.ndarray, rng: np.random.Generator, group_size: int = 1
) -> Budgeted:
    """What episodes from these architectures may spend; where a limit is out of reach, as little as can be reached.

    "any" is drawn anew for each episode: evenly between the least that can be reached and the cost of the initial
    network, and with a fifth of the weight at that cost; `group_size` episodes in a row draw alike.
    """
    whole = initial.costs.astype(float)
    budgeted = Budgeted.of(initial, whole)
    least = budgeted.least(initial, masks)
    limits = np.full_like(whole, np.inf)
    for r, name in enumerate(RESOURCES):
        if name not in budget:
            continue
        limit, lowest = budget[name], least[:, 2 if len(budget) > 1 else r, r]
        if limit == ANY:
            share = np.minimum(rng.random(-(-len(whole) // group_size)) / UNBOUND, 1.0)
            share = np.repeat(share, group_size)[: len(whole)]
            limits[:, r] = np.maximum(lowest + share * (whole[:, r] - lowest), lowest)
        else:
            asked = np.array([limit_of(name, limit, cost) for cost in whole[:, r].tolist()], dtype=float)
            limits[:, r] = np.maximum(asked, lowest)
    return budgeted._replace(limits=limits)
