"""The settings of a run: one frozen dataclass, saved as config.json and read back on resume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Annotated, Any

from natrl.checks.fields import check_fields, Count, FieldError, Logit, Positive, Range, Seed
from natrl.core.transitions import check_choice, CostMode, Rule
from natrl.evaluation.factory import EvaluatorSpec
from natrl.files.paths import absolute_settings
from natrl.policies.network import HEADS
from natrl.rllib.settings import LearnSettings
from natrl.spaces import Skeleton
from natrl.training.weight_settings import WeightSettings

__all__ = ["RunSettings", "field_names"]


@dataclass(frozen=True)
class RunSettings:
    """What `natrl train` does."""

    evaluator: EvaluatorSpec = field(default_factory=EvaluatorSpec)  # the reward; it names the space too
    learn: LearnSettings = field(default_factory=LearnSettings)  # the algorithm
    head: Any = "autoregressive"  # of the policy: joint, autoregressive or lstm
    keep: Logit = 0.0  # extra logit, at the start, of the operation a slot holds: above 0 the policy starts near β
    rule: Rule = "nat++"  # which transitions exist
    cost: CostMode = "strict"  # which of them the mask leaves
    initial: str | tuple[str, ...] = (
        "uniform"  # architectures: "uniform", "pool:N" (by the seed below), "pool:N:SEED", or notations
    )
    horizon: Annotated[int, Range(1, 1000)] = 1  # transforms an episode
    reward_clip: Positive | None = None  # rewards are clipped to ± this
    seed: Seed = 0
    checkpoint_every: Count = 10  # iterations

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "initial", absolute_settings({"initial": self.initial})["initial"])
        object.__setattr__(self, "head", HEADS.name_of(self.head))
        HEADS.get(self.head)
        check_choice("rule", self.rule, Rule)
        check_choice("cost mode", self.cost, CostMode)

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
    known = {f.name: f.default is None for f in fields(cls)}  # whether it may be null
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise ValueError(f"settings{where}: unknown {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    values = {}
    for name, value in document.items():
        nested = _NESTED.get(name)
        if nested is not None and not is_dataclass(value) and not (value is None and known[name]):
            value = _read(nested, value, f"{where}.{name}")
        values[name] = tuple(value) if isinstance(value, list) else value
    try:
        return cls(**values)
    except (TypeError, FieldError) as error:
        raise ValueError(f"settings{where}: {error}") from None


def field_names(cls: Any = RunSettings, prefix: str = "") -> list[str]:
    """The dotted names of all settings that hold one value: "head", "learn.entropy", "evaluator.skeleton.channels"."""
    names: list[str] = []
    for f in fields(cls):
        nested = _NESTED.get(f.name)
        names += field_names(nested, f"{prefix}{f.name}.") if nested else [f"{prefix}{f.name}"]
    return names
