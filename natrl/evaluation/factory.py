"""Evaluators from settings: what a run writes down, and what actors build where they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, TYPE_CHECKING

from annotated_doc import Doc

from natrl.checks.fields import Actors, Amount, check_fields, Count, Portion, Positive, Range, Seed, Size, Steps
from natrl.core.transitions import check_choice
from natrl.evaluation.base import check_queries, Evaluator, Metric
from natrl.evaluation.named import Named
from natrl.evaluation.rewards import build_evaluator, Reward, REWARDS
from natrl.files.paths import absolute_settings
from natrl.spaces import Skeleton, Space, space
from natrl.training.schedule import schedule
from natrl.training.weight_settings import WeightSettings

if TYPE_CHECKING:
    from natrl.data import ImageData

__all__ = ["EvaluatorSpec"]


@dataclass(frozen=True)
class EvaluatorSpec(Named):
    """Which evaluator to build; calling it builds one. Picklable, so that Ray can send it to actors.

    What has a name may in Python be the object itself: then its name is kept. Paths in it are absolute from the start:
    relative to the current folder.
    """

    registries: ClassVar = {
        "reward": ("natrl.evaluation.rewards", "REWARDS"),
        "space": ("natrl.spaces", "SPACES"),
        "schedule": ("natrl.training.schedule", "SCHEDULES"),
        "data": ("natrl.data", "DATA"),
    }

    reward: Annotated[
        Any, Doc("Evaluator: supernet, scratch, inherited, divergence, table:NAME|FILE, module:object.")
    ] = "supernet"
    space: Annotated[Any, Doc("Space: a name or module:object.")] = "darts"
    data: Annotated[Any, Doc("Data set: digits, a torchvision name, folder:PATH or module:callable.")] = "digits"
    image_size: Annotated[Size | None, Doc("Images are scaled to this many pixels; None: as they are.")] = None
    column: Annotated[str | None, Doc("Column of a table file with validation accuracies.")] = None
    metric: Annotated[Metric, Doc("What is rewarded: accuracy, or cross_entropy (better on small data).")] = "accuracy"
    skeleton: Annotated[Skeleton | None, Doc("Of the networks; None: the space's own, fitted to the data.")] = None
    schedule: Annotated[Any, Doc("Training: quick, or paper: as published (supernet and policy in turns).")] = "quick"
    total_steps: Annotated[Count, Doc("Supernet: weight steps of the whole run, over which the rate falls.")] = 3000
    weights: Annotated[WeightSettings | None, Doc("Supernet: its training; None: as suits the space.")] = None
    weight_share: Annotated[Portion, Doc("Supernet: of the training images; below 1 the others score.")] = 1.0
    score_images: Annotated[Count, Doc("Supernet, inherited: validation (or those other) images of a score.")] = 512
    reference_images: Annotated[Count, Doc("A network's weights are fitted on so many unlabelled ones.")] = 256
    steps: Annotated[Steps | None, Doc("Inherited: of training before a score; None: where it is needed.")] = None
    bf16: Annotated[bool | None, Doc("bfloat16 in evaluation; None: on GPUs that have it.")] = None
    surrogate: Annotated[Count | None, Doc("Scratch, inherited, a table: evaluate so many, predict the others.")] = None
    surrogate_every: Annotated[Count, Doc("Iterations of the policy between rounds of such evaluations.")] = 5
    seed: Annotated[Seed, Doc("Of weights, batches and splits.")] = 0
    actors: Annotated[Actors, Doc("Ray actors that evaluate architectures; 0: none, in this process.")] = 0
    num_cpus: Annotated[Amount, Doc("CPUs of each actor.")] = 1
    num_gpus: Annotated[Amount, Doc("GPUs of each actor and fine-tuning; fractions share one.")] = 0
    timeout: Annotated[Positive | None, Doc("Seconds of an evaluation on an actor; then it is tried again.")] = None
    max_attempts: Annotated[
        Annotated[int, Range(1, 1000)], Doc("At an evaluation on actors, before its architecture is given up.")
    ] = 3

    def __post_init__(self) -> None:
        self.keep_names()
        check_fields(self)
        for name in ("reward", "data"):
            object.__setattr__(self, name, absolute_settings(getattr(self, name)))
        check_choice("metric", self.metric, Metric)
        space(self.space)
        schedule(self.schedule)
        for name in ("metric", "schedule"):
            if name not in self.kind.takes and getattr(self, name) != getattr(EvaluatorSpec, name):
                raise ValueError(f"reward {self.reward!r} takes no {name}: leave it out, got {getattr(self, name)!r}")
        if self.surrogate is not None and self.kind.changes:
            raise ValueError(f"a surrogate needs a reward that stays as it is: scratch or a table, got {self.reward}")
        if self.surrogate is not None:
            check_queries(self.surrogate)

    @property
    def kind(self) -> Reward:
        """What the reward is. ValueError where its name is no longer known."""
        return REWARDS.get(self.reward)

    def __deepcopy__(self, memo: Any) -> EvaluatorSpec:
        return self  # RLlib copies its configuration at every iteration

    def heeded(self) -> Iterable[str]:
        """Not data where the reward needs none: they may not be there."""
        return (name for name in self.registries if name != "data" or "data" in self.kind.takes)

    @property
    def home(self) -> Space:
        """The space, on the skeleton of the settings if there is one."""
        return space(self.space) if self.skeleton is None else space(self.space).on(self.skeleton)

    def load_data(self) -> ImageData | None:
        """The images; None where the reward needs none. ValueError if they cannot be had."""
        if "data" not in self.kind.takes:
            return None
        from natrl.data import load_data

        return load_data(self.data, seed=self.seed, image_size=self.image_size)

    def __call__(self, data: ImageData | None = None) -> Evaluator:
        """The evaluator itself, in this process, on `data` or what `load_data` gives.

        ValueError on data, tables or code of the user's that cannot be read.
        """
        return build_evaluator(self.reward, **{**vars(self), "space": self.home, "data": data or self.load_data()})

    def build(self, ledger: Path | str | None = None, before: Any = None) -> Evaluator:
        """The evaluator, on Ray actors if `actors` is above 0 (Ray must run then), behind a surrogate if set.

        `ledger`: a file that keeps what was paid for, of all who use it (natrl.evaluation.ledger). A supernet's scores
        change with its weights, so they are not kept. The data set is read here and sent to each machine once.
        `before`: a `ScoreModel` of another task, for the surrogate.
        """
        evaluator = self.behind(partial(self, self.load_data()), ledger)
        if self.surrogate is None:
            return evaluator
        from natrl.evaluation.surrogate.evaluator import SurrogateEvaluator

        every, seed = self.surrogate_every, self.seed
        return SurrogateEvaluator(evaluator, queries=self.surrogate, every=every, seed=seed, before=before)

    def behind(self, build: Callable[[], Evaluator], ledger: Path | str | None) -> Evaluator:
        """What `build` makes, an evaluator of this kind, behind the ledger and on the actors."""
        if ledger is None or not self._is_kept(build):
            return self._on_actors(build) if self.actors else build()
        from natrl.evaluation.ledger.paid import behind_ledger

        return behind_ledger(build, ledger, chunk=self.kind.chunk, on_actors=self._on_actors if self.actors else None)

    def _is_kept(self, build: Callable[[], Evaluator]) -> bool:
        """Whether scores stay as they are, so that a ledger can keep them; an evaluator of the user's is asked."""
        if self.kind.changes or REWARDS.is_ours(self.reward):
            return not self.kind.changes
        return build().settings() is not None

    def _on_actors(self, build: Callable[[], Evaluator]) -> Evaluator:
        from natrl.evaluation.pool.evaluator import PoolEvaluator

        return PoolEvaluator(
            build,
            actors=self.actors,
            num_cpus=self.num_cpus,
            num_gpus=self.num_gpus,
            chunk=self.kind.chunk,
            timeout=self.timeout,
            max_attempts=self.max_attempts,
        )

    @property
    def resources(self) -> dict[str, Any] | None:
        """What the actors need, for the scheduler; None without actors."""
        if not self.actors:
            return None
        return {"actors": self.actors, "num_cpus": self.num_cpus, "num_gpus": self.num_gpus}
