"""What a sweep tries: read from YAML, checked as a whole before anything runs."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_doc import Doc

from natrl.checks.arguments import checked
from natrl.checks.fields import check_fields, Seed
from natrl.core.transitions import check_choice
from natrl.documents import read_document, set_at
from natrl.files.paths import absolute_settings
from natrl.runs.metrics import METRICS
from natrl.runs.parameters import known, Parameter
from natrl.runs.settings import field_names, RunSettings, with_name, with_names
from natrl.tuning.documents import complete, in_vain, unheeded
from natrl.tuning.sweep.extent import Extent
from natrl.tuning.sweep.search import check_scheduler, make_scheduler, read_scheduler

__all__ = ["SHIPPED", "SweepPlan", "read_plan"]

SHIPPED = Path(__file__).parent.parent / "spaces"
CHECKED = 2000  # combinations of extreme values that are tried as settings

Sampler = Literal["random", "grid", "optuna"]
Mode = Literal["max", "min"]


@dataclass(frozen=True)
class SweepPlan(Extent):
    """A search space and how it is searched.

    What has a name may in Python be the object itself, in settings and among a parameter's values: its name is kept.
    """

    settings: Annotated[Mapping[str, Any], Doc("Of every trial, nested as those of a run.")] = field(
        default_factory=dict
    )
    parameters: Annotated[tuple[Parameter, ...], Doc("What differs between trials.")] = ()
    metric: Annotated[str, Doc("Of a run; a trial's score is its mean over the last iterations.")] = "reward_mean"
    mode: Annotated[Mode, Doc("Which scores are better.")] = "max"
    sampler: Annotated[Sampler, Doc("Where trials come from; optuna learns from those before.")] = "random"
    scheduler: Annotated[
        Mapping[str, Mapping[str, float]], Doc("Which trials are stopped early: a name and its arguments.")
    ] = field(default_factory=lambda: {"none": {}})
    seed: Annotated[Seed, Doc("Of the sampler.")] = 0

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "settings", absolute_settings(with_names(self.settings)))
        check_choice("sampler", self.sampler, Sampler)
        check_choice("mode", self.mode, Mode)
        if self.metric not in METRICS:
            raise ValueError(f"unknown metric {known(self.metric, METRICS)}")
        self._check_parameters()
        most = max(self._check_settings(document).learn.iterations for document in self.extremes())
        check_scheduler(self)
        make_scheduler(self, most)

    def _check_parameters(self) -> None:
        names = field_names()
        if not self.parameters:
            raise ValueError("parameters: at least one is needed, such as learn.entropy: {loguniform: [0.003, 0.3]}")
        for parameter in self.parameters:
            if parameter.name not in names:
                raise ValueError(f"parameters: unknown {known(parameter.name, names)}")
        named = (replace(p, values=tuple(with_name(p.name, value) for value in p.values)) for p in self.parameters)
        object.__setattr__(self, "parameters", tuple(p.absolute() for p in named))
        for parameter in self.parameters:
            parameter.domain()
        grid = [p.name for p in self.parameters if p.kind == "grid"]
        if self.sampler == "grid" and len(grid) < len(self.parameters):
            (other, *_) = (p for p in self.parameters if p.kind != "grid")
            raise ValueError(f"sampler grid tries every value; {other.name} has {other.kind} instead of grid")
        if self.sampler == "grid" and self.trials != 1:
            raise ValueError(f"sampler grid tries every point once: trials must be 1, got {self.trials}")
        if self.sampler == "optuna" and grid:
            raise ValueError(f"sampler optuna chooses values itself; {grid[0]} has grid, give choice instead")

    def _check_settings(self, document: dict[str, Any]) -> RunSettings:
        try:
            settings = complete(document)
        except ValueError as error:
            raise ValueError(f"some trials would fail: {error}") from None
        score = "accuracy" if settings.evaluator.metric == "accuracy" else "score"
        if self.metric.startswith(("accuracy", "score")) and not self.metric.startswith(score):
            raise ValueError(f"metric {self.metric}: runs rewarded by {settings.evaluator.metric} have {score}_mean")
        return settings

    @property
    def scheduler_name(self) -> str:
        """none, asha or pbt."""
        return next(iter(self.scheduler))

    @property
    def total(self) -> int:
        """The number of trials."""
        return self.trials * prod(len(p.values) for p in self.parameters if p.kind == "grid")

    def extremes(self) -> Iterator[dict[str, Any]]:
        """Settings with every combination of the parameters' extreme values (a random sample if there are many)."""
        extremes = [p.extremes() for p in self.parameters]
        if prod(map(len, extremes)) <= CHECKED:
            combinations: Iterator[Any] = product(*extremes)
        else:
            rng = np.random.default_rng(0)
            combinations = (tuple(e[rng.integers(len(e))] for e in extremes) for _ in range(CHECKED))
        for values in combinations:
            yield self.document(dict(zip((p.name for p in self.parameters), values, strict=True)))

    def document(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of a trial with these values (by dotted name) of the parameters."""
        document = copy.deepcopy(dict(self.settings))
        for name, value in values.items():
            set_at(document, name, value)
        return document

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready document; `from_dict` reads it back to an equal value."""
        plan = {f.name: getattr(self, f.name) for f in fields(self)}
        return plan | {"parameters": {p.name: p.to_dict() for p in self.parameters}}

    @classmethod
    @checked
    def from_dict(cls, document: Mapping[str, Any]) -> SweepPlan:
        """Reads what `to_dict` wrote, or a YAML file holds. ValueError in one line names the mistake."""
        names = [f.name for f in fields(cls)]
        for name in document:
            if name not in names:
                raise ValueError(f"unknown {known(name, names)}")
        plan = dict(document)
        for name in ("settings", "parameters"):
            if not isinstance(plan.setdefault(name, {}), Mapping):
                raise ValueError(f"{name}: expected names and values, got {plan[name]!r:.60}")
        plan["scheduler"] = read_scheduler(plan.get("scheduler", "none"))
        plan["parameters"] = tuple(Parameter.read(name, kind) for name, kind in plan["parameters"].items())
        if plan.get("sampler") == "grid":
            plan.setdefault("trials", 1)
        return cls(**plan)


@checked
def read_plan(file: Path | str, **changes: Any) -> SweepPlan:
    """A plan from a YAML file, or the name of one that natrl ships; `changes` (None: no change) take precedence.

    Paths in it are relative to the file's folder. ValueError in one line: the file, what is wrong and what would be
    right, also where a setting would have no effect.
    """
    path = Path(file)
    if not path.exists() and path.name == str(file) and not path.suffix:
        shipped = sorted(p.stem for p in SHIPPED.glob("*.yaml"))
        if path.name not in shipped:
            raise ValueError(f"{path}: no such file, and no search space of natrl's: {', '.join(shipped)}")
        path = SHIPPED / f"{path.name}.yaml"
    document = absolute_settings(read_document(path), path.parent) | {
        name: value for name, value in changes.items() if value is not None
    }
    try:
        plan = SweepPlan.from_dict(document)
        _check_heeded(plan)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return plan


def _check_heeded(plan: SweepPlan) -> None:
    """ValueError if no trial at all has a use for a parameter, or for one of the settings."""
    first, *others = plan.extremes()
    why = unheeded(complete(first))
    for document in others:
        why = {name: why[name] for name in unheeded(complete(document)) if name in why}
    for name in (*(p.name for p in plan.parameters), *in_vain(first)):
        if name in why:
            raise ValueError(f"{name} does not go with this: {why[name]}")
