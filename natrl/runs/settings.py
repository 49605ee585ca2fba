"""The settings of a run: one frozen dataclass, saved as config.json and read back on resume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import reduce
from typing import Annotated, Any, ClassVar, TypeVar

from annotated_doc import Doc

from natrl.checks.fields import check_fields, Count, FieldError, group_of, Logit, Positive, Range, Seed
from natrl.core.transitions import check_choice, CostMode, Rule
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.named import Named
from natrl.files.paths import absolute_settings
from natrl.rllib.settings import LearnSettings
from natrl.spaces.budget import Budget, Resource

__all__ = ["RunSettings", "field_names", "with_name", "with_names"]

Settings = TypeVar("Settings", bound="RunSettings")


@dataclass(frozen=True)
class RunSettings(Named):
    """What `natrl train` does."""

    registries: ClassVar = {"head": ("natrl.policies.network", "HEADS")}

    evaluator: Annotated[EvaluatorSpec, Doc("The reward; names the space.")] = field(default_factory=EvaluatorSpec)
    learn: Annotated[LearnSettings, Doc("The algorithm.")] = field(default_factory=LearnSettings)
    head: Annotated[Any, Doc("Policy head: joint, autoregressive, lstm, module:object.")] = "autoregressive"
    keep: Annotated[Logit, Doc("Extra logit of what a slot holds: above 0 a policy starts near β.")] = 0.0
    rule: Annotated[Rule, Doc("Transitions: nat or nat++.")] = "nat++"
    cost: Annotated[CostMode, Doc("Mask of transitions: strict, rule or live.")] = "strict"
    initial: Annotated[
        str | tuple[str, ...], Doc("Initial architectures: uniform, pool:N, pool:N:SEED, original; or notations.")
    ] = "uniform"
    horizon: Annotated[int, Range(1, 1000), Doc("Transforms an episode.")] = 1
    budget: Annotated[Budget, Doc("What costs more scores accuracy × limit ÷ cost.")] = field(default_factory=Budget)
    budgets: Annotated[
        tuple[str, ...] | str,
        Doc("The policy is given a budget, another one in each episode, of madds, params or both (madds,params)."),
    ] = ()
    reward_clip: Annotated[Positive | None, Doc("Rewards are clipped to ± this.")] = None
    start: Annotated[
        str | None, Doc("Learning goes on from this run or policy: its weights, and its model of scores, if any.")
    ] = None
    seed: Annotated[Seed, Doc("Seed of everything random.")] = 0
    checkpoint_every: Annotated[Count, Doc("Iterations from one checkpoint to the next.")] = 10

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("initial", "start"):
            object.__setattr__(self, name, absolute_settings({name: getattr(self, name)})[name])
        self.keep_names()
        self.registry("head").get(self.head)
        if isinstance(self.budgets, str):
            object.__setattr__(self, "budgets", tuple(kind.strip() for kind in self.budgets.split(",")))
        for kind in self.budgets:
            check_choice("budget", kind, Resource)
        object.__setattr__(self, "budgets", tuple(dict.fromkeys(self.budgets)))
        check_choice("rule", self.rule, Rule)
        check_choice("cost mode", self.cost, CostMode)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready document; `from_dict` reads it back to an equal value."""
        return asdict(self)

    @classmethod
    def from_dict(cls: type[Settings], document: Mapping[str, Any]) -> Settings:
        """Reads what `to_dict` wrote. ValueError lists unknown fields and the valid ones."""
        settings: Settings = _read(cls, document, "")
        return settings


def _read(cls: Any, document: Any, where: str) -> Any:
    """A dataclass from nested fields and values.

    By no library: cattrs and pydantic take more lines than these to say in one what is unknown and what is known, and
    msgspec ignores unknown fields of dataclasses.
    """
    if not isinstance(document, Mapping):
        raise ValueError(f"settings{where}: expected fields and values, got {document!r}")
    nullable = {f.name: f.default is None for f in fields(cls)}
    unknown = sorted(set(document) - set(nullable))
    if unknown:
        raise ValueError(f"settings{where}: unknown {', '.join(unknown)}; known: {', '.join(sorted(nullable))}")
    values = {}
    for name, value in document.items():
        group = group_of(cls, name)
        if group and not is_dataclass(value) and not (value is None and nullable[name]):
            value = _read(group, value, f"{where}.{name}")
        values[name] = tuple(value) if isinstance(value, list) else value
    try:
        return cls(**values)
    except (TypeError, FieldError) as error:
        raise ValueError(f"settings{where}: {error}") from None


def field_names(cls: Any = RunSettings, prefix: str = "") -> list[str]:
    """The dotted names of all settings that hold one value: "head", "learn.entropy", "evaluator.skeleton.channels"."""
    names: list[str] = []
    for f in fields(cls):
        group = group_of(cls, f.name)
        names += field_names(group, f"{prefix}{f.name}.") if group else [f"{prefix}{f.name}"]
    return names


def with_name(name: str, value: Any) -> Any:
    """The value of a setting, by its dotted name; an object that may stand in a name's place gives way to its name.

    ValueError where it is none of the kind.
    """
    *groups, last = name.split(".")
    cls = reduce(group_of, groups, RunSettings)
    return cls.registry(last).name_of(value) if last in getattr(cls, "registries", ()) else value


def with_names(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields and values, such as a part of a run's settings, with names in the place of objects."""
    known = field_names()
    return {
        name: with_name(f"{prefix}{name}", value)
        if f"{prefix}{name}" in known
        else with_names(value, f"{prefix}{name}.")
        if isinstance(value, Mapping)
        else value
        for name, value in document.items()
    }
