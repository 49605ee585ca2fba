"""Settings: frozen dataclasses whose fields declare their ranges once, checked whenever settings are made."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, MISSING
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, get_type_hints

from natrl.checks.annotations import alternatives, Range, refusal

__all__ = [
    "AMOUNT",
    "COUNT",
    "SEED",
    "SEEDS",
    "Actors",
    "Amount",
    "Count",
    "Decay",
    "FieldError",
    "Logit",
    "NotNegative",
    "Pixels",
    "Portion",
    "Positive",
    "Range",
    "Seed",
    "Seeds",
    "Size",
    "Steps",
    "check_fields",
    "check_number",
    "defaults_of",
    "field_hints",
    "group_of",
]


class FieldError(ValueError):
    """A value that a field cannot have."""


COUNT = Range(1, 10**9)  # of steps, batches, architectures …
SEED = Range(0, 2**32 - 1)  # what numpy, torch and scikit-learn all take
SEEDS = Range(1, 10_000)  # how many: runs or trainings of one thing
AMOUNT = Range(0, 10_000)  # of CPUs and GPUs; fractions share one

Count = Annotated[int, COUNT]
Seed = Annotated[int, SEED]
Size = Annotated[int, Range(1, 2**16)]  # of networks and images: channels, pixels, cells
Pixels = Annotated[int, Range(0, 2**16)]  # of a border or a square in an image; 0: none
Seeds = Annotated[int, SEEDS]
Amount = Annotated[float, AMOUNT]
Positive = Annotated[float, Range(0, 10**6, above=True)]
NotNegative = Annotated[float, Range(0, 10**6)]
Portion = Annotated[float, Range(0, 1, above=True, words="above 0 and at most 1")]
Decay = Annotated[float, Range(0, 1, below=True, words="in [0, 1)")]
Logit = Annotated[float, Range(-1000, 1000)]
Actors = Annotated[int, Range(0, 100_000)]
Steps = Annotated[int, Range(0, 10**9)]


def check_fields(settings: Any, where: str = "", *, in_full: bool = False) -> None:
    """FieldError where a field of a dataclass is not of its type, or out of its range.

    Numbers of numpy's become Python's, which JSON knows. `where` begins the message; `in_full`: it names type and range
    together.
    """
    kind: Any = type(settings)
    for name, hint in field_hints(kind).items():
        value = getattr(settings, name)
        wanted = refusal(value, hint, in_full=in_full) or ("text, not empty" if value == "" else "")
        if wanted:
            raise FieldError(f"{where}{name} must be {wanted}, got {value!r:.60}")
        if isinstance(value, Real) and not isinstance(value, int | float):
            object.__setattr__(settings, name, int(value) if isinstance(value, Integral) else float(value))


def check_number(name: str, value: Any, bounds: Range) -> None:
    """ValueError where a number is out of a range, for arguments that are no fields."""
    if out := bounds.refusal(value):
        raise ValueError(f"{name} must be {out}, got {value!r:.60}")


@cache
def field_hints(settings: Any) -> dict[str, Any]:
    """The annotations of a dataclass's fields, evaluated."""
    hints = get_type_hints(settings, include_extras=True)
    return {f.name: hints[f.name] for f in fields(settings)}


@cache
def defaults_of(settings: Any) -> dict[str, Any]:
    """The defaults of a dataclass's fields; None where there is none."""
    defaults = {f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in fields(settings)}
    return {name: None if default is MISSING else default for name, default in defaults.items()}


def group_of(settings: Any, name: str) -> Any:
    """The dataclass that a field of a dataclass holds; None if it holds none."""
    return next((kind for kind in alternatives(field_hints(settings)[name]) if is_dataclass(kind)), None)
