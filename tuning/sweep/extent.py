"""How much a sweep tries; the rest of a plan takes torch and Ray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_doc import Doc

from natrl.checks.fields import Range

__all__ = ["Extent"]

Number = Annotated[int, Range(1, 10**6)]


@dataclass(frozen=True, kw_only=True)
class Extent:
    """Of a sweep: its trials, and how many run at a time."""

    trials: Annotated[Number, Doc("Samples of the search space; of each point of its grid, if it has one.")] = 16
    concurrent: Annotated[Number | None, Doc("Trials at a time; None: as many as fit.")] = None
