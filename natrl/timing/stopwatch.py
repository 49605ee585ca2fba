"""How long networks take, side by side: they take turns until what is known of each is narrow enough."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from natrl.news import say
from natrl.timing.runtimes import Clock, Run

__all__ = ["Patience", "Times", "times"]

QUANTILE = 0.25  # of the turns: something else that runs there makes turns longer, never shorter
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Patience:
    """How long is measured."""

    turn: float = 0.005  # seconds of a turn, at least one pass
    fewest: int = 12  # turns
    most: int = 60
    narrow: float = 0.05  # half an interval as a share of the time
    seconds: float = 30.0  # for all, when `fewest` are done


@dataclass(frozen=True)
class Times:
    """Of N networks that took T turns."""

    turns: np.ndarray  # (T, N) seconds of a pass, the mean of a turn

    @property
    def seconds(self) -> np.ndarray:
        """(N,): the lower quartile of the turns."""
        return np.quantile(self.turns, QUANTILE, axis=0)

    @property
    def interval(self) -> np.ndarray:
        """(2, N): between which that quartile is, with 95 % confidence, whatever the turns are distributed like."""
        return _between(self.turns)

    @property
    def ratios(self) -> np.ndarray:
        """(3, N): lower end, figure and upper end of how long each takes as a share of the first, turn by turn."""
        shares = self.turns / self.turns[:, :1]
        low, high = _between(shares, 0.5)
        return np.stack([low, np.median(shares, axis=0), high])

    @property
    def width(self) -> float:
        """Half of an interval as a share of the time, on average."""
        low, high = self.interval
        return float(((high - low) / 2 / self.seconds).mean())


def times(runs: Sequence[tuple[Run, Clock | None]], where: str, patience: Patience) -> Times:
    """Every network has a turn, again and again, until all intervals are narrow. Says so where they do not get so."""
    passes = [_passes(run, patience.turn) for run in runs]
    turns: list[list[float]] = []
    begun = time.perf_counter()
    while len(turns) < patience.most:
        turns.append([_turn(run, n) for run, n in zip(runs, passes, strict=True)])
        if len(turns) >= patience.fewest:
            late = time.perf_counter() - begun > patience.seconds
            if late or Times(np.array(turns)).width <= patience.narrow:
                break
    found = Times(np.array(turns))
    if found.width > 2 * patience.narrow and patience.fewest >= Patience.fewest:
        say(f"{where} is busy: after {len(turns)} turns times are known to ± {found.width:.0%} only")
    return found


def _between(turns: np.ndarray, quantile: float = QUANTILE) -> np.ndarray:
    """(2, N): the interval of a quantile, by order statistics."""
    n, tail = len(turns), (1 - CONFIDENCE) / 2
    low, high = binom.ppf((tail, 1 - tail), n, quantile).astype(int)
    ordered = np.sort(turns, axis=0)
    return np.stack([ordered[max(low - 1, 0)], ordered[min(high, n - 1)]])


def _passes(run: tuple[Run, Clock | None], seconds: float) -> int:
    """How many passes a turn is, after some for warming up."""
    if run[1] is None:
        return 1
    for _ in range(2):
        run[0]()
    return max(1, int(seconds / max(_turn(run, 1), 1e-9)))


def _turn(run: tuple[Run, Clock | None], passes: int) -> float:
    once, clock = run
    if clock is None:
        return float(once())
    begun = clock()
    for _ in range(passes):
        once()
    return (clock() - begun) / passes
