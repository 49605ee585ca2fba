"""results.json: what a comparison of architectures measured, original against transformed against random.

S seeds. Accuracies are in [0, 1]. A random row holds a random valid transformation that costs as much as the
transformed architecture of the same name, so that a reader sees what the policy adds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args, Literal

import pandas as pd

from natrl.checks.arguments import checked
from natrl.core.architecture import Architecture
from natrl.documents import read_json
from natrl.files.writing import write_json
from natrl.spaces import live_cost, network_cost, Skeleton

__all__ = ["Correlation", "Results", "Trained", "Variant", "read_results", "read_skeleton", "write_results"]

FORMAT = "natrl.results"

Variant = Literal["original", "transformed", "random"]
VARIANTS: tuple[str, ...] = get_args(Variant)


@dataclass(frozen=True)
class Trained:
    """One architecture, trained from scratch once a seed."""

    name: str  # the same for an original and what was made of it
    variant: Variant
    architecture: Architecture
    params: int  # as the papers count: dead parts included
    madds: int
    live_params: int  # the parts that a path from the image to the classifier uses
    live_madds: int
    validation: tuple[float, ...]  # S
    test: tuple[float, ...] = ()  # S, or empty where test data was not read

    @classmethod
    def measured(
        cls,
        name: str,
        variant: Variant,
        architecture: Architecture,
        skeleton: Skeleton,
        *,
        validation: tuple[float, ...],
        test: tuple[float, ...] = (),
    ) -> Trained:
        """A row with its costs on the skeleton filled in."""
        cost, live = network_cost(architecture, skeleton), live_cost(architecture, skeleton)
        costs = (cost.params, cost.madds, live.params, live.madds)
        return cls(name, variant, architecture, *costs, validation, test)


@dataclass(frozen=True)
class Correlation:
    """How the proxy (a supernet, say) ranks architectures that were also trained; MAdds alone is the baseline."""

    pairs: tuple[tuple[float, float, float], ...]  # (proxy score, trained validation accuracy, MAdds)
    spearman: float | None  # rank correlations in [−1, 1]; None where they are undefined
    kendall: float | None
    spearman_madds: float | None  # of MAdds instead of the proxy score

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, float, float]]) -> Correlation:
        """Computes the rank correlations of the pairs."""
        frame = pd.DataFrame(pairs, columns=["proxy", "trained", "madds"], dtype=float)
        spearman, kendall = (frame.corr(method=method)["trained"] for method in ("spearman", "kendall"))
        ranks = (None if math.isnan(r) else float(r) for r in (spearman["proxy"], kendall["proxy"], spearman["madds"]))
        return cls(tuple(frame.itertuples(index=False, name=None)), *ranks)


@dataclass(frozen=True)
class Results:
    """A whole comparison. `validate()` is called by reader and writer."""

    data: str  # name of the data set
    skeleton: Skeleton
    seeds: tuple[int, ...]  # S
    rows: tuple[Trained, ...]
    schedule: Mapping[str, Any] = field(default_factory=dict)  # of the training from scratch
    correlation: Correlation | None = None
    command: str = ""  # repeats the run
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)  # what each part of the run took

    @property
    def metric(self) -> Literal["test", "validation"]:
        """The accuracies to report: test where every row has them, else validation."""
        return "test" if self.rows and all(row.test for row in self.rows) else "validation"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the rows, each once, in their order."""
        return tuple(dict.fromkeys(row.name for row in self.rows))

    def row(self, name: str, variant: str) -> Trained | None:
        """The row of that name and variant, or None."""
        return next((row for row in self.rows if (row.name, row.variant) == (name, variant)), None)

    def validate(self) -> Results:
        """Returns itself. ValueError naming the row and the reason if something does not fit."""
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be different numbers, at least one, got {list(self.seeds)}")
        seen: set[tuple[str, str]] = set()
        for row in self.rows:
            _validate_row(row, len(self.seeds))
            if (row.name, row.variant) in seen:
                raise ValueError(f"{_where(row)}: appears twice")
            seen.add((row.name, row.variant))
        for row in self.rows:
            original = self.row(row.name, "original")
            if original is not None and original.architecture.cells != row.architecture.cells:
                raise ValueError(f"{_where(row)}: its topology differs from the original's")
        return self

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready document; `from_dict` reads it back to an equal value."""
        rows = [
            {
                **vars(row),
                "architecture": row.architecture.to_dict(),
                "validation": [*row.validation],
                "test": [*row.test],
            }
            for row in self.rows
        ]
        document = {"format": FORMAT, "version": 1, "data": self.data, "skeleton": asdict(self.skeleton)}
        document |= {"schedule": dict(self.schedule), "seeds": [*self.seeds], "rows": rows, "correlation": None}
        if self.correlation is not None:
            pairs = [list(pair) for pair in self.correlation.pairs]
            document["correlation"] = {"n": len(pairs), **vars(self.correlation), "pairs": pairs}
        return document | {"command": self.command, "versions": dict(self.versions), "seconds": dict(self.seconds)}

    @classmethod
    def from_dict(cls, document: Any) -> Results:
        """Reads what `to_dict` wrote. ValueError says what is missing or malformed."""
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ValueError(f'not results: "format" must be "{FORMAT}"')
        if document.get("version") != 1:
            raise ValueError(f"results version {document.get('version')!r} is unknown; this natrl reads version 1")
        rows = []
        for i, row in enumerate(_get(document, "rows", list)):
            try:
                rows.append(_read_row(row))
            except ValueError as error:
                raise ValueError(f"row {i}: {error}") from None
        correlation = document.get("correlation")
        return cls(
            data=_get(document, "data", str),
            skeleton=read_skeleton(_get(document, "skeleton", dict)),
            seeds=tuple(_numbers(document, "seeds", int)),
            rows=tuple(rows),
            schedule=_get(document, "schedule", dict),
            correlation=None if correlation is None else _read_correlation(correlation),
            command=_get(document, "command", str),
            versions={key: str(value) for key, value in _get(document, "versions", dict).items()},
            seconds=_get(document, "seconds", dict),
        ).validate()


@checked
def read_results(path: str | Path) -> Results:
    """Reads results.json. ValueError in one line: the file, what is malformed and why."""
    document = read_json(path)
    try:
        return Results.from_dict(document)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def write_results(results: Results, path: str | Path) -> Path:
    """Writes results.json in one step, floats in full precision; returns the path. ValueError if something is wrong."""
    return write_json(Path(path), results.validate().to_dict(), ensure_ascii=False, allow_nan=False)


def _where(row: Trained) -> str:
    return f"row {row.name!r}, {row.variant}"


def _validate_row(row: Trained, n_seeds: int) -> None:
    if row.variant not in VARIANTS:
        raise ValueError(f"row {row.name!r}: unknown variant {row.variant!r}; known: {', '.join(VARIANTS)}")
    for label in ("params", "madds", "live_params", "live_madds"):
        if getattr(row, label) < 0:
            raise ValueError(f"{_where(row)}: {label} must be at least 0, got {getattr(row, label)}")
    for label in ("validation", "test"):
        accuracies = getattr(row, label)
        if len(accuracies) != n_seeds and not (label == "test" and not accuracies):
            raise ValueError(f"{_where(row)}: {label} has {len(accuracies)} accuracies for {n_seeds} seeds")
        for value in accuracies:
            if not 0 <= value <= 1:
                raise ValueError(f"{_where(row)}: {label} accuracies must be in [0, 1], got {value}")


def _get(document: Any, key: str, kind: type | tuple[type, ...]) -> Any:
    """document[key]. ValueError if it is missing or of another kind (bool counts as no number)."""
    if not isinstance(document, dict):
        raise ValueError(f"expected an object, got {document!r:.60}")
    if key not in document:
        raise ValueError(f"{key!r} is missing")
    value = document[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise ValueError(f"{key!r} must be of type {names}, got {value!r:.60}")
    return value


def _numbers(document: Any, key: str, kind: type | tuple[type, ...] = (int, float)) -> list[Any]:
    values = _get(document, key, list)
    for value in values:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{key!r} must hold numbers only, got {value!r:.60}")
    return values


def _read_row(row: Any) -> Trained:
    name, variant = _get(row, "name", str), _get(row, "variant", str)
    try:
        architecture = Architecture.from_dict(_get(row, "architecture", dict))
    except ValueError as error:
        raise ValueError(f"{name!r}, {variant}: {error}") from None
    costs = [_get(row, key, int) for key in ("params", "madds", "live_params", "live_madds")]
    accuracies = [tuple(map(float, _numbers(row, key))) for key in ("validation", "test")]
    return Trained(name, variant, architecture, *costs, *accuracies)


def read_skeleton(fields: Any) -> Skeleton:
    """The skeleton of a document. ValueError on a field that is unknown or malformed."""
    if not isinstance(fields, dict):
        raise ValueError(f"skeleton: expected an object, got {fields!r:.60}")
    try:
        return Skeleton(**fields)
    except TypeError:
        known = ", ".join(Skeleton.__dataclass_fields__)
        raise ValueError(f"skeleton: unknown field among {', '.join(fields)}; known: {known}") from None


def _read_correlation(document: Any) -> Correlation:
    try:
        pairs = [tuple(map(float, _numbers({"pairs": pair}, "pairs"))) for pair in _get(document, "pairs", list)]
        if any(len(pair) != 3 for pair in pairs):
            raise ValueError("each of 'pairs' must be [proxy score, trained accuracy, MAdds]")
        if _get(document, "n", int) != len(pairs):
            raise ValueError(f"n is {document['n']} but there are {len(pairs)} pairs")
        keys = ("spearman", "kendall", "spearman_madds")
        ranks = [None if document.get(key) is None else float(_get(document, key, (int, float))) for key in keys]
    except ValueError as error:
        raise ValueError(f"correlation: {error}") from None
    return Correlation(tuple(pairs), *ranks)  # type: ignore[arg-type]  # triples, as checked
