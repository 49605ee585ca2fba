"""Evaluators from settings: what a run writes down, and what actors build where they run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from natrl.evaluation.base import check_queries, Evaluator, Metric
from natrl.evaluation.table import load_table
from natrl.spaces import Skeleton, space
from natrl.transitions import check_choice

__all__ = ["EvaluatorSpec"]


@dataclass(frozen=True)
class EvaluatorSpec:
    """Which evaluator to build; calling it builds one. Picklable, so that Ray can send it to actors."""

    reward: str = "supernet"  # "supernet", "scratch", "table:NAME" or "table:FILE"
    space: str = "darts"
    data: str = "digits"  # data set; tables need none
    image_size: int | None = None  # images are scaled to this many pixels; None: as they are
    column: str | None = None  # of a table file: which column holds the validation accuracies
    metric: Metric = "accuracy"  # "accuracy", or "cross_entropy" (better on small data sets)
    skeleton: Skeleton | None = None  # of supernet and scratch networks; None: the space's own, fitted to the data
    schedule: str = "quick"  # scratch: how networks are trained, "quick" or "paper"
    total_steps: int = 3000  # supernet: weight steps of the whole run (length of the learning-rate schedule)
    bf16: bool = False  # supernet: bfloat16 autocast in evaluation
    surrogate: int | None = None  # scratch, table: queries of a surrogate that predicts the others; None: no surrogate
    surrogate_every: int = 5  # iterations of the policy between its rounds of queries
    seed: int = 0  # of weights, batches and splits
    actors: int = 0  # Ray actors that evaluate; 0: in the calling process
    num_cpus: float = 1  # of each actor
    num_gpus: float = 0  # of each actor; fractions share a GPU

    def __post_init__(self) -> None:
        if self.reward not in ("supernet", "scratch") and not self.reward.startswith("table:"):
            raise ValueError(f"unknown reward {self.reward!r}; known: supernet, scratch, table:NAME, table:FILE")
        check_choice("metric", self.metric, Metric)
        if self.reward.startswith("table:") and self.metric != "accuracy":
            raise ValueError(f"a table holds accuracies; metric must be one of accuracy, got {self.metric!r}")
        space(self.space)
        if self.surrogate is not None and self.reward == "supernet":
            raise ValueError("a surrogate needs a reward that stays as it is: scratch or a table, got supernet")
        if self.surrogate is not None:
            check_queries(self.surrogate)
        if self.actors < 0:
            raise ValueError(f"actors must be at least 0, got {self.actors}")

    def __call__(self) -> Evaluator:
        """The evaluator itself, in this process. ValueError on data or tables that cannot be read."""
        if self.reward.startswith("table:"):
            return load_table(self.reward.removeprefix("table:"), self.column)
        from natrl.data import load_data

        data = load_data(self.data, seed=self.seed, image_size=self.image_size)
        skeleton = fit_skeleton(self.skeleton or space(self.space).skeleton, data)
        if self.reward == "scratch":
            from natrl.evaluation.scratch import ScratchEvaluator
            from natrl.networks.schedule import schedule

            return ScratchEvaluator(data, skeleton, schedule(self.schedule), seeds=(self.seed,), metric=self.metric)
        from natrl.evaluation.supernet import SupernetEvaluator

        return SupernetEvaluator(
            self.space,
            skeleton,
            data,
            metric=self.metric,
            total_steps=self.total_steps,
            bf16=self.bf16,
            seed=self.seed,
        )

    def build(self) -> Evaluator:
        """The evaluator, on Ray actors if `actors` is above 0 (Ray must run then), behind a surrogate if set."""
        evaluator = self._build()
        if self.surrogate is None:
            return evaluator
        from natrl.evaluation.surrogate import SurrogateEvaluator

        return SurrogateEvaluator(evaluator, queries=self.surrogate, every=self.surrogate_every, seed=self.seed)

    def _build(self) -> Evaluator:
        if not self.actors:
            return self()
        from natrl.evaluation.pool import PoolEvaluator

        chunk = 256 if self.reward.startswith("table:") else 1
        return PoolEvaluator(self, actors=self.actors, num_cpus=self.num_cpus, num_gpus=self.num_gpus, chunk=chunk)

    @property
    def resources(self) -> dict[str, Any] | None:
        """What the actors need, for the scheduler; None without actors."""
        if not self.actors:
            return None
        return {"actors": self.actors, "num_cpus": self.num_cpus, "num_gpus": self.num_gpus}


def fit_skeleton(skeleton: Skeleton, data: Any) -> Skeleton:
    """The skeleton with the image size, channels and classes of a data set (`natrl.data.ImageData`)."""
    return replace(
        skeleton, image_size=data.image_size, image_channels=data.image_channels, num_classes=data.num_classes
    )
