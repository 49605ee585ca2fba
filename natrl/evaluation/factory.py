"""Evaluators from settings: what a run writes down, and what actors build where they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TYPE_CHECKING

from natrl.checks.fields import Actors, Amount, check_fields, Count, Portion, Positive, Range, Seed, Size
from natrl.core.transitions import check_choice
from natrl.evaluation.base import check_queries, Evaluator, Metric
from natrl.evaluation.table import load_table
from natrl.files.paths import absolute_settings
from natrl.registry import Entry, Registry
from natrl.spaces import Skeleton, space, SPACES
from natrl.training.schedule import schedule
from natrl.training.weight_settings import FAIR, WeightSettings

if TYPE_CHECKING:
    from natrl.data import ImageData

__all__ = ["EvaluatorSpec"]

TABLE_CHUNK = 256  # look-ups that travel to an actor, or into the ledger, at once


@dataclass(frozen=True)
class EvaluatorSpec:
    """Which evaluator to build; calling it builds one. Picklable, so that Ray can send it to actors.

    Paths in it are absolute from the start: relative to the current folder.
    """

    reward: str = "supernet"  # "supernet", "scratch", "table:NAME" or "table:FILE"
    space: str = "darts"
    data: str = "digits"  # data set; tables need none
    image_size: Size | None = None  # images are scaled to this many pixels; None: as they are
    column: str | None = None  # of a table file: which column holds the validation accuracies
    metric: Metric = "accuracy"  # "accuracy", or "cross_entropy" (better on small data sets)
    skeleton: Skeleton | None = None  # of supernet and scratch networks; None: the space's own, fitted to the data
    schedule: str = "quick"  # scratch: how networks are trained, "quick" or "paper"; supernet: what settings start from
    total_steps: Count = 3000  # supernet: weight steps of the whole run (length of the learning-rate schedule)
    weights: WeightSettings = FAIR  # supernet: how its weights are trained
    weight_share: Portion = 1.0  # supernet: of the training images, those that train weights; below 1 the others score
    score_images: Count = 512  # supernet: images that an architecture is scored on; of validation, or of those others
    bf16: bool | None = None  # bfloat16 autocast in evaluation; None: on GPUs that have it
    surrogate: Count | None = None  # scratch, table: queries of a surrogate that predicts the others; None: none
    surrogate_every: Count = 5  # iterations of the policy between its rounds of queries
    seed: Seed = 0  # of weights, batches and splits
    actors: Actors = 0  # Ray actors that evaluate; 0: in the calling process
    num_cpus: Amount = 1  # of each actor
    num_gpus: Amount = 0  # of each actor; fractions share a GPU
    timeout: Positive | None = None  # seconds an evaluation may take on an actor; None: any time
    max_attempts: Annotated[int, Range(1, 1000)] = 3  # of an evaluation on actors, before its architecture is given up

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("reward", "data"):
            object.__setattr__(self, name, absolute_settings(getattr(self, name)))
        if self.reward not in ("supernet", "scratch") and not self.reward.startswith("table:"):
            raise ValueError(f"unknown reward {self.reward!r}; known: supernet, scratch, table:NAME, table:FILE")
        check_choice("metric", self.metric, Metric)
        if self.reward.startswith("table:") and self.metric != "accuracy":
            raise ValueError(f"a table holds accuracies; metric must be one of accuracy, got {self.metric!r}")
        space(self.space)
        schedule(self.schedule)
        if self.reward.startswith("table:") and self.schedule != "quick":
            raise ValueError(f"a table has nothing to train: schedule {self.schedule!r} goes with supernet or scratch")
        if self.surrogate is not None and self.reward == "supernet":
            raise ValueError("a surrogate needs a reward that stays as it is: scratch or a table, got supernet")
        if self.surrogate is not None:
            check_queries(self.surrogate)

    def __getstate__(self) -> dict[str, Any]:
        """The fields, and `own`."""
        return {**vars(self), "own": self.own}

    @property
    def own(self) -> dict[str, Entry]:
        """What fields only name, and this process alone knows: the user's space, the function that gives his data."""
        own = {name: entry for name, known in self._registries().items() if (entry := known.own(getattr(self, name)))}
        if own:
            from natrl.evaluation.user_code import share_user_code

            share_user_code()
        return own

    def __setstate__(self, state: dict[str, Any]) -> None:
        own = state.pop("own", {})
        vars(self).update(state)
        for name, entry in own.items():
            self._registries()[name].remember(entry)

    def _registries(self) -> dict[str, Registry[Any]]:
        """Where what fields name is found, as far as the reward needs it."""
        if self.reward.startswith("table:"):
            return {"space": SPACES}
        from natrl.data import DATA

        return {"space": SPACES, "data": DATA}

    @property
    def chunk(self) -> int:
        """Architectures that are evaluated at a time."""
        return TABLE_CHUNK if self.reward.startswith("table:") else 1

    def load_data(self) -> ImageData | None:
        """The images; None for a table. ValueError if they cannot be had."""
        if self.reward.startswith("table:"):
            return None
        from natrl.data import load_data

        return load_data(self.data, seed=self.seed, image_size=self.image_size)

    def __call__(self, data: ImageData | None = None) -> Evaluator:
        """The evaluator itself, in this process, on `data` or what `load_data` gives.

        ValueError on data or tables that cannot be read.
        """
        if self.reward.startswith("table:"):
            return load_table(self.reward.removeprefix("table:"), self.column)
        data = data or self.load_data()
        assert data is not None
        home = space(self.space) if self.skeleton is None else space(self.space).on(self.skeleton)
        if self.reward == "scratch":
            from natrl.evaluation.scratch import ScratchEvaluator

            return ScratchEvaluator(
                home,
                data,
                schedule(self.schedule),
                seeds=(self.seed,),
                metric=self.metric,
                bf16=self.bf16,
                data_seed=self.seed,
            )
        from natrl.evaluation.supernet import SupernetEvaluator

        return SupernetEvaluator(
            home,
            data,
            metric=self.metric,
            settings=self.weights,
            total_steps=self.total_steps,
            score_images=self.score_images,
            weight_share=self.weight_share,
            bf16=self.bf16,
            seed=self.seed,
        )

    def build(self, ledger: Path | str | None = None) -> Evaluator:
        """The evaluator, on Ray actors if `actors` is above 0 (Ray must run then), behind a surrogate if set.

        `ledger`: a file that keeps what was paid for, of all who use it (natrl.evaluation.ledger). A supernet's scores
        change with its weights, so they are not kept. The data set is read here and sent to each machine once.
        """
        evaluator = self._paid(ledger)
        if self.surrogate is None:
            return evaluator
        from natrl.evaluation.surrogate.evaluator import SurrogateEvaluator

        return SurrogateEvaluator(evaluator, queries=self.surrogate, every=self.surrogate_every, seed=self.seed)

    def _paid(self, ledger: Path | str | None) -> Evaluator:
        if ledger is None or self.reward == "supernet":
            return self._on_actors(partial(self, self.load_data())) if self.actors else self()
        from natrl.evaluation.ledger.paid import behind_ledger

        build = partial(self, self.load_data())
        return behind_ledger(build, ledger, chunk=self.chunk, on_actors=self._on_actors if self.actors else None)

    def _on_actors(self, build: Callable[[], Evaluator]) -> Evaluator:
        from natrl.evaluation.pool.evaluator import PoolEvaluator

        return PoolEvaluator(
            build,
            actors=self.actors,
            num_cpus=self.num_cpus,
            num_gpus=self.num_gpus,
            chunk=self.chunk,
            timeout=self.timeout,
            max_attempts=self.max_attempts,
        )

    @property
    def resources(self) -> dict[str, Any] | None:
        """What the actors need, for the scheduler; None without actors."""
        if not self.actors:
            return None
        return {"actors": self.actors, "num_cpus": self.num_cpus, "num_gpus": self.num_gpus}
