"""What is asked of a proxy: how it orders architectures, beside trained accuracies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_doc import Doc

from natrl.checks.fields import Amount, check_fields, Count, Range, Seed, Seeds
from natrl.evaluation.base import check_queries
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.rewards import REWARDS

__all__ = ["Question", "check_proxy"]

LEAST = 5  # architectures below which no rank correlation says anything


@dataclass(frozen=True)
class Question:
    """Which proxy is judged, by which trained accuracies, on how many architectures. ValueError on what cannot be."""

    proxy: Annotated[str, Doc("A reward such as supernet, surrogate, or the directory of a run, for its evaluator.")]
    truth: Annotated[EvaluatorSpec, Doc("Trained accuracies, scratch or a table; space, data and skeleton are its.")]
    number: Annotated[Annotated[int, Range(LEAST, 10**6)], Doc("Architectures.")] = 30
    steps: Annotated[Count, Doc("Supernet: weight steps.")] = 2500
    queries: Annotated[Count, Doc("Surrogate: other architectures that it learns from.")] = 100
    seeds: Annotated[Seeds, Doc("Trainings of each architecture from scratch.")] = 1
    gpus: Annotated[Amount, Doc("GPUs of each training from scratch.")] = 0
    seed: Annotated[Seed, Doc("Seed of everything random.")] = 0

    def __post_init__(self) -> None:
        if self.number < LEAST:
            raise ValueError(f"a rank correlation needs at least {LEAST} architectures, got {self.number}")
        if self.truth.kind.changes:
            found = f"scratch, table:NAME or table:FILE; got {self.truth.reward}"
            raise ValueError(f"the truth is trained accuracies: {found}")
        check_fields(self)
        if self.proxy == "surrogate":
            check_queries(self.queries)
        check_proxy(self.proxy)


def check_proxy(proxy: str) -> None:
    """ValueError if it is neither "surrogate", nor a directory, nor a reward."""
    if proxy != "surrogate" and not Path(proxy).is_dir():
        try:
            REWARDS.get(proxy)
        except ValueError as error:
            raise ValueError(f"{error}; a proxy may also be surrogate or the directory of a run") from None
