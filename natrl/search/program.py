"""What combinations of replacements cost, and the integer program that finds the best: R replacements, P pairs."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from natrl.search.replacements import Replacements
from natrl.spaces import Batch
from natrl.spaces.budget import Budget

__all__ = ["Costs", "Further", "Program"]

SCALE = 1e3  # of the largest effect: the solver ends within 1e-6 of the best
ROUNDED = 1e-12  # share of a cost, below which a difference of sums is rounding
#: Of a solution; after a minute the best so far is taken. (After presolving HiGHS prints whenever it mends a solution.)
OPTIONS = {"mip_rel_gap": 0.0, "time_limit": 60.0, "presolve": False}


class Further(NamedTuple):
    """Costs besides parameters and MAdds, such as seconds by a table, and what they may be at most."""

    costs: Callable[[Batch], np.ndarray]  # float64 (N, T) of N architectures
    limits: np.ndarray  # (T,)

    @classmethod
    def none(cls) -> Further:
        return cls(lambda batch: np.zeros((len(batch), 0)), np.zeros(0))


class Costs:
    """All that replacements cost, and the limits: C costs, parameters and MAdds first."""

    def __init__(self, replacements: Replacements, budget: Budget, further: Further) -> None:
        self.replacements, self._further = replacements, further
        self.limits = np.concatenate([np.floor(budget.limits), further.limits])  # (C,)
        self.original = self.of(Batch.of(replacements.box.space, [replacements.box.architecture]))[0]
        self.savings = self.original - self.of(replacements.batch)  # (R, C)

    def of(self, batch: Batch) -> np.ndarray:
        """float64 (N, C)."""
        counted = self.replacements.box.space.pruned(batch).costs
        return np.concatenate([counted, self._further.costs(batch)], axis=1)


class Program:
    """max Σ effect·w over binary w (R,), one replacement a slot, what is saved enough; and a product for some pairs.

    A product p of two w stands for what both save together beyond their sum (a layer between them that is left out), or
    less than it (a layer that either leaves out, or makes cheaper). Where replacements of two slots have such, all
    pairs of theirs get one: those of one replacement add up to its w at most, and all of them to Σ w of both slots − 1
    at least. (Bounds of each product by itself leave the solver with minutes of branching.)
    """

    def __init__(self, costs: Costs, effects: np.ndarray) -> None:
        self._replacements = replacements = costs.replacements
        first, second, more, cut = _pairs(costs)
        blocks = _blocks(replacements.slots, first, second)
        r, p = len(replacements), sum(block.size for block in blocks)
        self._size = r + p
        self._integer = np.arange(self._size) < r  # products are whole numbers where these are
        scale = SCALE / max(np.nanmax(np.abs(effects), initial=0.0), 1e-300)
        self._objective = np.concatenate([-scale * np.nan_to_num(effects), np.zeros(p)])
        self._bounds = Bounds(0, np.concatenate([~np.isnan(effects), np.ones(p)]).astype(float))
        self._rows: list[tuple[np.ndarray, np.ndarray]] = []  # columns and numbers, whose sum is at most …
        self._most: list[float] = []
        for slot in replacements.changed.T:
            self._add(slot, 1)
        together = np.zeros((p, more.shape[1]))
        known = {frozenset(pair): i for i, pair in enumerate(zip(first.tolist(), second.tolist(), strict=True))}
        start = r
        for block in blocks:
            products = np.arange(start, start := start + block.size).reshape(len(block.first), -1)
            for one, row in [*zip(block.first, products, strict=True), *zip(block.second, products.T, strict=True)]:
                self._add(dict.fromkeys(row.tolist(), 1.0) | {one: -1}, 0)
            ones = (*block.first, *block.second)
            self._add(dict.fromkeys(products.ravel().tolist(), -1.0) | dict.fromkeys(ones, 1.0), 1)
            for pair, number in zip(product(block.first, block.second), products.flat, strict=True):
                if (place := known.get(frozenset(pair))) is not None:
                    together[number - r] = more[place]
        for a, b in cut:
            self._add({a: 1, b: 1}, 1)
        saved = np.concatenate([costs.savings, together])  # (R + P, C)
        for column, limit, cost in zip(saved.T, costs.limits, costs.original, strict=True):
            if np.isfinite(limit):
                column = np.where(np.isfinite(column), column, 0.0)  # of what is not to be made
                unit = np.abs(column).max(initial=0.0) or 1.0
                self._add(-column / unit, (limit - cost) / unit)

    def _add(self, row: np.ndarray | dict[int, float], most: float) -> None:
        """`row`: numbers of the first columns, or by column."""
        if isinstance(row, dict):
            columns, numbers = np.array(list(row)), np.array(list(row.values()), dtype=float)
        else:
            (columns,) = np.nonzero(row)
            numbers = row[columns].astype(float)
        self._rows.append((columns, numbers))
        self._most.append(most)

    @property
    def _constraints(self) -> LinearConstraint:
        columns, numbers = (np.concatenate(parts) for parts in zip(*self._rows, strict=True))
        ends = np.cumsum([0, *(len(columns) for columns, _ in self._rows)])
        matrix = csr_array((numbers, columns, ends), shape=(len(self._rows), self._size))
        return LinearConstraint(matrix, ub=self._most)

    def solve(self) -> np.ndarray | None:
        """bool (R,); None where nothing is left."""
        if not self._size:  # of no replacements none, once
            return np.zeros(0, dtype=bool) if all(most >= 0 for most in self._most) else None
        with _silent():
            result = milp(
                self._objective,
                integrality=self._integer,
                bounds=self._bounds,
                constraints=self._constraints,
                options=OPTIONS,
            )
        return None if result.x is None else result.x[: len(self._replacements)] > 0.5

    def forbid(self, cutting: np.ndarray) -> None:
        """Not all of these that put null somewhere, unless another one puts something in the place of a null."""
        empty, fill = self._replacements.emptying, self._replacements.filling
        emptying = cutting & empty
        self._add(emptying.astype(float) - (fill & ~cutting), emptying.sum() - 1)

    def exclude(self, chosen: np.ndarray) -> None:
        """Not this combination."""
        self._add(np.where(chosen, 1.0, -1.0), chosen.sum() - 1)


class _Block(NamedTuple):
    """Replacements of two slots."""

    first: list[int]
    second: list[int]

    @property
    def size(self) -> int:
        """How many pairs."""
        return len(self.first) * len(self.second)


def _blocks(slots: np.ndarray, first: np.ndarray, second: np.ndarray) -> list[_Block]:
    """All of the two slots of each of these pairs int (P,) twice. `slots` int (R,): of the replacements."""
    pairs = np.unique(np.sort(np.stack([slots[first], slots[second]]), axis=0), axis=1).T.tolist()
    return [_Block(*(np.flatnonzero(slots == slot).tolist() for slot in pair)) for pair in pairs]


def _pairs(costs: Costs) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """Of two that put null somewhere, or of which one is a width: int (P,) twice, those that save more or less together
    than one by one, and float64 (P, C), how much more; and the pairs that cut the last path.
    """
    replacements, savings = costs.replacements, costs.savings
    changed = replacements.changed
    empty, narrow = replacements.emptying, replacements.narrowing
    a, b = np.nonzero(np.triu(empty[:, None] & empty | narrow[:, None] | narrow, 1))
    apart = ~(changed[a] & changed[b]).any(-1)
    a, b = a[apart], b[apart]
    chosen = np.zeros((len(a), len(replacements)), dtype=bool)
    chosen[np.arange(len(a)), a] = chosen[np.arange(len(a)), b] = True
    made, rows = replacements.together(chosen)
    cut = [] if replacements.filling.any() else sorted(set(zip(a.tolist(), b.tolist(), strict=True)))
    a, b = a[rows], b[rows]
    cut = sorted(set(cut) - set(zip(a.tolist(), b.tolist(), strict=True)))
    more = costs.original - costs.of(made) - savings[a] - savings[b]
    other = (np.abs(more) > ROUNDED * np.abs(costs.original)).any(-1)
    return a[other], b[other], more[other], cut


@contextmanager
def _silent() -> Iterator[None]:
    """What C code writes to the standard output is lost.

    HiGHS writes "HighsMipSolverData::transformNewIntegerFeasibleSolution …" there at times, whatever `disp` says, and
    would break the JSON document that a command prints.
    """
    try:
        kept = os.dup(1)
    except OSError:  # there is none
        yield
        return
    flush = ctypes.CDLL(None).fflush
    flush(None)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        flush(None)
        os.dup2(kept, 1)
        os.close(kept)
