"""Evaluators from settings: what a run writes down, and what actors build where they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TYPE_CHECKING

from natrl.checks.fields import Actors, Amount, check_fields, Count, Portion, Positive, Range, Seed, Size
from natrl.core.operations import receive_operations, registered_operations
from natrl.core.transitions import check_choice
from natrl.evaluation.base import check_queries, Evaluator, Metric
from natrl.evaluation.rewards import build_evaluator, Reward, REWARDS
from natrl.files.paths import absolute_settings
from natrl.registry import Entry, Registry
from natrl.spaces import Skeleton, space, SPACES
from natrl.training.schedule import schedule, SCHEDULES
from natrl.training.weight_settings import FAIR, WeightSettings

if TYPE_CHECKING:
    from natrl.data import ImageData

__all__ = ["EvaluatorSpec"]


#: What settings name; data sets too, which take torch.
NAMED: dict[str, Registry[Any]] = {"reward": REWARDS, "space": SPACES, "schedule": SCHEDULES}


@dataclass(frozen=True)
class EvaluatorSpec:
    """Which evaluator to build; calling it builds one. Picklable, so that Ray can send it to actors.

    Paths in it are absolute from the start: relative to the current folder.
    """

    reward: Any = "supernet"  # a name of `REWARDS`, "module:object", or in Python the object: then its name is kept
    space: Any = "darts"
    data: Any = "digits"  # data set, where the reward takes one
    image_size: Size | None = None  # images are scaled to this many pixels; None: as they are
    column: str | None = None  # of a table file: which column holds the validation accuracies
    metric: Metric = "accuracy"  # "accuracy", or "cross_entropy" (better on small data sets)
    skeleton: Skeleton | None = None  # of supernet and scratch networks; None: the space's own, fitted to the data
    schedule: Any = "quick"  # scratch: how networks are trained, "quick" or "paper"; supernet: what settings start from
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
        for name, known in NAMED.items():
            object.__setattr__(self, name, known.name_of(getattr(self, name)))
        if not isinstance(self.data, str):
            object.__setattr__(self, "data", _data().name_of(self.data))
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

    def __getstate__(self) -> dict[str, Any]:
        """The fields, `own`, and the operations that the user registered."""
        operations = registered_operations()
        if operations:
            from natrl.evaluation.user_code import share_user_code

            share_user_code()
        return {**vars(self), "own": self.own, "operations": operations}

    @property
    def own(self) -> dict[str, Entry]:
        """What fields only name, and this process alone knows: the user's space, evaluator, schedule, data."""
        named = {**NAMED, "data": _data()} if "data" in self.kind.takes else NAMED
        own = {name: entry for name, known in named.items() if (entry := known.own(getattr(self, name)))}
        if own:
            from natrl.evaluation.user_code import share_user_code

            share_user_code()
        return own

    def __setstate__(self, state: dict[str, Any]) -> None:
        own: dict[str, Entry] = state.pop("own", {})
        receive_operations(state.pop("operations", ()))
        vars(self).update(state)
        for name, entry in own.items():
            (_data() if name == "data" else NAMED[name]).remember(entry)

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
        home = space(self.space) if self.skeleton is None else space(self.space).on(self.skeleton)
        return build_evaluator(self.reward, **{**vars(self), "space": home, "data": data or self.load_data()})

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
        data = self.load_data()
        build = partial(self, data)
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


def _data() -> Registry[Any]:
    from natrl.data import DATA

    return DATA
