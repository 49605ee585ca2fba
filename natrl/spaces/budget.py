"""Budgets: how much a transformed architecture may cost, and the cheapest one that can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, get_args, Literal

import numpy as np
from annotated_doc import Doc

from natrl.checks.fields import check_fields, Range
from natrl.core.architecture import Architecture
from natrl.core.operations import Cost, VOCABULARY_INDEX
from natrl.spaces.base import Space
from natrl.spaces.counting import CostTable

__all__ = ["RESOURCES", "Budget", "Resource", "cheapest", "cheapest_within", "fewest", "limit_of"]

Resource = Literal["params", "madds"]
RESOURCES: tuple[Resource, ...] = get_args(Resource)  # as arrays of costs have them
Limit = Annotated[float, Range(0, 1e18)]


@dataclass(frozen=True)
class Budget:
    """Upper limits of what a network may cost, in MAdds and parameters; None: no limit."""

    madds: Annotated[Limit | None, Doc("MAdds at most, a number.")] = None
    params: Annotated[Limit | None, Doc("Parameters at most, a number.")] = None

    def __post_init__(self) -> None:
        check_fields(self, "budget: ")

    @classmethod
    def of(cls, original: Cost, max_madds: float | str | None, max_params: float | str | None) -> Budget:
        """From absolute numbers, or shares of what the original costs, such as "80%". ValueError on anything else."""
        madds = limit_of("max_madds", max_madds, original.madds)
        return cls(madds, limit_of("max_params", max_params, original.params))

    @property
    def limits(self) -> np.ndarray:
        """float64 (2,): parameters and MAdds, infinite where there is no limit."""
        return np.array([np.inf if limit is None else limit for limit in (self.params, self.madds)])

    def __bool__(self) -> bool:
        return self.madds is not None or self.params is not None

    def scaled(self, factor: float) -> Budget:
        """Every limit times the factor."""
        madds, params = (None if limit is None else limit * factor for limit in (self.madds, self.params))
        return Budget(madds, params)

    def allows(self, cost: Cost) -> bool:
        return (self.madds is None or cost.madds <= self.madds) and (self.params is None or cost.params <= self.params)

    def shares(self, table: CostTable, primitives: tuple[str, ...]) -> np.ndarray:
        """float64 (E, K): what each primitive costs in each slot, as a share of the limits (their sum); 0 if none."""
        weights = [0 if limit is None else 1 / max(limit, 1) for limit in (self.params, self.madds)]
        return _slot_costs(table, primitives) @ np.array(weights)

    def __str__(self) -> str:
        limits = ((self.madds, "MAdds"), (self.params, "parameters"))
        return " and ".join(f"at most {limit:,.0f} {unit}" for limit, unit in limits if limit is not None)


def limit_of(label: str, value: float | str | None, reference: float, *, counted: bool = True) -> float | None:
    """A limit from a number, or a share of what the original has, such as "80%" or 0.8. ValueError on anything else.

    `counted`: the limit is of something that is counted, so a number between 0 and 1 is a share; of seconds it is not.
    """
    if value is None:
        return None
    try:
        share = isinstance(value, str) and value.strip().endswith("%")
        number = float(value.strip().removesuffix("%")) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise ValueError(f'{label} must be a number or a share of the original such as "80%", got {value!r:.60}')
    if share or (counted and 0 < number < 1):
        return number * reference / (100 if share else 1)
    return number


def cheapest_within(budget: Budget, architecture: Architecture, mask: np.ndarray, space: Space) -> Architecture:
    """A cheapest transformation that the budget allows; `mask` bool (E, K). ValueError if there is none."""

    def cost(found: Architecture) -> Cost:
        return space.cost(space.prune(found))

    primitives = space.primitives
    prices = _slot_costs(space.cost_table(architecture), primitives)
    found = []
    for weights in ((1.0, 0.0), (0.0, 1.0), (1 / max(budget.params or 1, 1), 1 / max(budget.madds or 1, 1))):
        found.append(cheapest(architecture, np.where(mask, prices @ np.array(weights), np.inf), primitives))
        if budget.allows(cost(found[-1])):
            return found[-1]
    params, madds = cost(found[0]).params, cost(found[1]).madds
    least = f"{madds:,} MAdds" if budget.params is None else f"{params:,} parameters"
    least = least if budget.madds is None or budget.params is None else f"{madds:,} MAdds, or {params:,} parameters"
    raise ValueError(f"no transformation has {budget}; the smallest reachable cost is {least}")


def fewest(
    space: Space, architecture: Architecture, mask: np.ndarray, *, params: float = 0, madds: float = 0
) -> Architecture:
    """The transformation of the lowest cost, with these weights of its parameters and MAdds; `mask` bool (E, K).

    What it leaves without use is gone.
    """
    prices = _slot_costs(space.cost_table(architecture), space.primitives) @ np.array((params, madds), dtype=float)
    if "null" in space.primitives:  # before what costs as much: more may go with it
        least = min((weight for weight in (params, madds) if weight), default=1.0)
        prices[:, space.primitives.index("null")] -= least / (2 * len(prices) + 2)  # together below one count
    return space.prune(cheapest(architecture, np.where(mask, prices, np.inf), space.primitives))


def cheapest(architecture: Architecture, prices: np.ndarray, primitives: tuple[str, ...]) -> Architecture:
    """The transformation with the lowest sum of prices (E, K) (infinite = forbidden) that stays live, exactly.

    Each slot takes its cheapest primitive. In each cell that is live one path from an input to an output must stay: the
    shortest, where the length of a slot is what its cheapest active primitive costs more.
    """
    active = np.array([name != "null" for name in primitives])
    best, best_active = prices.argmin(1), np.where(active, prices, np.inf).argmin(1)
    slots = np.arange(len(prices))
    length = np.where(active[best_active], prices[slots, best_active] - prices[slots, best], np.inf)
    for path in _shortest_paths(architecture, length):
        best[path] = best_active[path]
    return architecture.with_operations([primitives[k] for k in best])


def _slot_costs(table: CostTable, primitives: tuple[str, ...]) -> np.ndarray:
    """int64 (E, K, 2): parameters and MAdds that each primitive adds in each slot."""
    return table.slots[:, [VOCABULARY_INDEX[name] for name in primitives]]


def _shortest_paths(architecture: Architecture, length: np.ndarray) -> Iterator[list[int]]:
    """The slots of the shortest path from an input to an output, cell by cell, where the cell is live."""
    live, start = architecture.live_slots, 0
    for cell in architecture.cells:
        edges = [(start + i, source, target) for i, (source, target) in enumerate(cell.edges)]
        start += len(edges)
        if not any(live[e] for e, _, _ in edges):
            continue
        paths: dict[int, tuple[float, list[int]]] = {node: (0.0, []) for node in range(cell.inputs)}
        for e, source, target in edges:
            before, path = paths.get(source, (np.inf, []))
            if before + length[e] < paths.get(target, (np.inf, []))[0]:
                paths[target] = (before + length[e], [*path, e])
        yield min((paths[node] for node in cell.outputs if node in paths), key=lambda found: found[0])[1]
