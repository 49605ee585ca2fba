"""What a run's policy is asked about one architecture: within which budgets, and who scores the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_doc import Doc

from natrl.checks.fields import check_fields, Count
from natrl.core.transitions import check_choice
from natrl.spaces.budget import Resource

__all__ = ["FrontSettings"]


@dataclass(frozen=True)
class FrontSettings:
    """Of `natrl front`. ValueError on what cannot be."""

    budgets: Annotated[
        tuple[str, ...] | None,
        Doc("Limits, numbers or shares of the original: 40%,60%,80%; else 10 from the least that can be reached."),
    ] = None
    resource: Annotated[Resource, Doc("What budgets limit: madds or params.")] = "madds"
    evaluator: Annotated[
        str, Doc("Who scores: none, run (its evaluator with its trained weights), table:NAME|FILE or module:object.")
    ] = "none"
    evaluations: Annotated[Count | None, Doc("Different architectures that may be scored; else all.")] = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("resource", self.resource, Resource)
