"""Limits on time: a table of what each operation takes in the runtime, and what candidates take by it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from natrl.core.architecture import Architecture
from natrl.modules.space import ModuleSpace
from natrl.news import say
from natrl.policies.limits import LATENCIES, Limits
from natrl.search.program import Further
from natrl.timing.files import conditions, read_tables, write_tables
from natrl.timing.latency import batch_of
from natrl.timing.table import measure_table, TimeTable
from natrl.tuning.optimize.settings import OptimizeSettings

__all__ = ["TimeLimits", "time_limits"]

TIGHTER = 0.93  # factor on the limits where what was predicted to keep them does not


class TimeLimits:
    """What a network may take, for one image and for a batch, by tables."""

    def __init__(self, tables: Sequence[TimeTable], limits: Sequence[float], *, strict: bool) -> None:
        """`limits` in seconds; `strict`: no single replacement may be slower than the layer that it replaces."""
        self.tables, self._limits, self._strict = tuple(tables), np.array(limits), strict

    def tighten(self) -> None:
        self._limits = self._limits * TIGHTER

    def of(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N, T): seconds by each table."""
        return np.stack([table.of(architectures) for table in self.tables], axis=1)

    def allows(self, architectures: Sequence[Architecture]) -> list[bool]:
        """Which keep to all limits by the tables."""
        return [bool((seconds <= self._limits).all()) for seconds in self.of(architectures)]

    def forbidden(self, single: Sequence[Architecture]) -> np.ndarray:
        """bool (N,): single replacements that are not to be made: not measured or, where it is strict, slower."""
        seconds = self.of(single)
        slower = seconds > np.array([table.original for table in self.tables])
        return (~np.isfinite(seconds) | (slower & self._strict)).any(1)

    def gained(self, single: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,): what single replacements save of the original's times, on average; NaN: not measured."""
        saved = 1 - self.of(single) / np.array([table.original for table in self.tables])
        return np.where(np.isfinite(saved), saved, np.nan).mean(1)

    @property
    def further(self) -> Further:
        """For the best combinations within the limits."""
        return Further(self.of, self._limits)


def time_limits(
    space: ModuleSpace, limits: Limits, settings: OptimizeSettings, mask: np.ndarray, run: Path
) -> TimeLimits | None:
    """By the tables in the settings' file of times, or that of the run, where what is missing is measured and written.

    None where time is not limited. `mask` bool (E, K): what may be made of the network. ValueError in one line where
    the runtime or the file refuses.
    """
    if not limits.timed:
        return None
    place = batch_of(space.example, 1, settings.runtime, settings.device)[0].device
    of = conditions(space, settings.runtime, str(place))
    path = run / "times.json" if settings.times is None else Path(settings.times)
    tables = read_tables(path, space, of) if path.exists() else {}
    for kind in limits.timed:
        if (batch := LATENCIES[kind]) not in tables:
            tables[batch] = measure_table(
                space, mask, batch=batch, runtime=settings.runtime, device=settings.device, seed=settings.seed
            )
            write_tables(path, tables, of)
        say(f"time for {batch} on {place} by {settings.runtime}, by its layers: {tables[batch].check}")
    found = [tables[LATENCIES[kind]] for kind in limits.timed]
    seconds = [limits.seconds(kind, table.original) for kind, table in zip(limits.timed, found, strict=True)]
    return TimeLimits(found, seconds, strict=settings.cost != "rule")
