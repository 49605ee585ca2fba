"""The settings of a run: one frozen dataclass, saved as config.json and read back on resume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints, Literal, Union

from natrl.evaluation.factory import EvaluatorSpec
from natrl.networks.weight_settings import WeightSettings
from natrl.paths import absolute_settings
from natrl.policies.network import Head
from natrl.rllib.settings import LearnSettings
from natrl.spaces import Skeleton
from natrl.transitions import check_choice, CostMode, Rule

__all__ = ["RunSettings", "field_names"]


@dataclass(frozen=True)
class RunSettings:
    """What `natrl train` does."""

    evaluator: EvaluatorSpec = field(default_factory=EvaluatorSpec)  # the reward; it names the space too
    learn: LearnSettings = field(default_factory=LearnSettings)  # the algorithm
    head: Head = "autoregressive"  # of the policy: joint, autoregressive or lstm
    keep: float = 0.0  # extra logit, at the start, of the operation a slot holds: above 0 the policy starts near β
    rule: Rule = "nat++"  # which transitions exist
    cost: CostMode = "strict"  # which of them the mask leaves
    initial: str | tuple[str, ...] = (
        "uniform"  # architectures: "uniform", "pool:N" (by the seed below), "pool:N:SEED", or notations
    )
    horizon: int = 1  # transforms an episode
    reward_clip: float | None = None  # rewards are clipped to ± this
    seed: int = 0
    checkpoint_every: int = 10  # iterations

    def __post_init__(self) -> None:
        object.__setattr__(self, "initial", absolute_settings({"initial": self.initial})["initial"])
        check_choice("head", self.head, Head)
        check_choice("rule", self.rule, Rule)
        check_choice("cost mode", self.cost, CostMode)
        for name in ("horizon", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready document; `from_dict` reads it back to an equal value."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> RunSettings:
        """Reads what `to_dict` wrote. ValueError lists unknown fields and the valid ones."""
        return _read(cls, document, "")


_NESTED = {"evaluator": EvaluatorSpec, "learn": LearnSettings, "skeleton": Skeleton, "weights": WeightSettings}


def _read(cls: Any, document: Any, where: str) -> Any:
    if not isinstance(document, Mapping):
        raise ValueError(f"settings{where}: expected fields and values, got {document!r}")
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(document) - known)
    if unknown:
        raise ValueError(f"settings{where}: unknown {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    hints = get_type_hints(cls)
    values = {}
    for name, value in document.items():
        nested = _NESTED.get(name)
        if nested is not None and value is not None and not is_dataclass(value):
            value = _read(nested, value, f"{where}.{name}")
        elif isinstance(value, list):
            value = tuple(value)
        if not _fits(value, hints[name]):
            raise ValueError(f"settings{where}: {name} must be {_kind(hints[name])}, got {value!r:.60}")
        values[name] = float(value) if hints[name] is float else value
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"settings{where}: {error}") from None


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value that was read from a file is of a field's type. What a Literal allows, the classes check."""
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, choice) for choice in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(item, get_args(hint)[0]) for item in value)
    if get_origin(hint) is Literal:
        return isinstance(value, str)
    if hint in (int, float):
        return isinstance(value, int if hint is int else (int, float)) and not isinstance(value, bool)
    return isinstance(value, hint)


_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}


def _kind(hint: Any) -> str:
    """What `_fits` accepts, in words."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(_kind, get_args(hint)))
    if get_origin(hint) is tuple:
        return "a list"
    return _KINDS.get(hint, "text" if get_origin(hint) is Literal else "fields and values")


def field_names(cls: Any = RunSettings, prefix: str = "") -> list[str]:
    """The dotted names of all settings that hold one value: "head", "learn.entropy", "evaluator.skeleton.channels"."""
    names: list[str] = []
    for f in fields(cls):
        nested = _NESTED.get(f.name)
        names += field_names(nested, f"{prefix}{f.name}.") if nested else [f"{prefix}{f.name}"]
    return names
