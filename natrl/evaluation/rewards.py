"""What rewards a policy, by name: supernet, scratch, inherited, table:NAME …, or an evaluator of the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from natrl.checks.kinds import complete_class, described, with_functions
from natrl.evaluation.base import check_evaluator, Evaluator, Metric
from natrl.evaluation.table import load_table
from natrl.registry import Registry, returned_by
from natrl.spaces import Space

__all__ = ["REWARDS", "Reward", "build_evaluator"]


@dataclass(frozen=True)
class Reward:
    """How an evaluator is built, and what there is to know before it is."""

    factory: Callable[..., Evaluator]  # called with those settings of `EvaluatorSpec` that its parameters name
    changes: bool = False  # scores change: shared weights are trained while the policy learns, so no ledger keeps them
    trains: bool = False  # an evaluation is a whole training
    free: bool = False  # an evaluation costs nothing, so that none is worth writing down
    inherits: bool = False  # its networks have weights of a trained one, so that it can also choose what is kept
    needs: str = ""  # of the space (`Space.lacks`): "supernet" or "inheritance"
    chunk: int = 1  # evaluations that travel to an actor, or into the ledger, at once
    heeds: tuple[str, ...] = ()  # settings that mean something to the run rather than to the evaluator

    @cached_property
    def takes(self) -> frozenset[str]:
        """The settings that mean something: data where images are needed, schedule where something is trained …"""
        return frozenset((*inspect.signature(self.factory).parameters, *self.heeds))

    def build(self, settings: Mapping[str, Any], what: str) -> Evaluator:
        """The evaluator. ValueError in one line (`what` …) where a parameter is no setting, or it fails."""
        parameters = inspect.signature(self.factory).parameters.values()
        for p in parameters:
            if p.name not in settings and p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                known = ", ".join(sorted(settings))
                raise ValueError(f"{what} needs {p.name!r}, which is no setting here; known: {known}")
        given = {p.name: settings[p.name] for p in parameters if p.name in settings}
        built = returned_by(partial(self.factory, **given), what)
        try:
            return check_evaluator(built)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None


def accept_reward(found: Any) -> Reward:
    """A record as it is; an evaluator, a class of evaluators or a function that returns one as a record."""
    if isinstance(found, Reward):
        return with_functions(found, "factory")
    if isinstance(found, Evaluator):
        return Reward(lambda: found, changes=_trains_weights(type(found)))
    if isinstance(found, type) and issubclass(found, Evaluator):
        return Reward(complete_class(found), changes=_trains_weights(found))
    if callable(found) and not isinstance(found, type):
        return Reward(found)
    raise ValueError(
        "expected an object or subclass of natrl.evaluation.Evaluator, or a function that returns one; got "
        f"{described(found)}"
    )


def _trains_weights(kind: type[Evaluator]) -> bool:
    return kind.train_weights is not Evaluator.train_weights


def build_evaluator(name: Any, **settings: Any) -> Evaluator:
    """The evaluator of a reward's name, or of the object itself, from settings such as `space`.

    ValueError in one line on an unknown name, or one that needs more settings.
    """
    reward, argument = REWARDS.find(name)
    return reward.build({**settings, "argument": argument}, f"reward {name!r:.80}")


def _supernet(
    *,
    space: Space,
    data: Any,
    metric: Metric,
    weights: Any,
    total_steps: int,
    score_images: int,
    reference_images: int,
    weight_share: float,
    bf16: bool | None,
    seed: int,
) -> Evaluator:
    from natrl.evaluation.supernet import SupernetEvaluator

    return SupernetEvaluator(
        space,
        data,
        metric=metric,
        settings=weights,
        total_steps=total_steps,
        score_images=score_images,
        reference_images=reference_images,
        weight_share=weight_share,
        bf16=bf16,
        seed=seed,
    )


def _scratch(*, space: Space, data: Any, metric: Metric, schedule: str, bf16: bool | None, seed: int) -> Evaluator:
    from natrl.evaluation.scratch import ScratchEvaluator

    return ScratchEvaluator(space, data, schedule, seeds=(seed,), metric=metric, bf16=bf16, data_seed=seed)


def _inherited(
    *, space: Space, data: Any, metric: Metric, steps: int | None, reference_images: int, score_images: int, seed: int
) -> Evaluator:
    from natrl.evaluation.inherited import InheritedEvaluator

    return InheritedEvaluator(
        space,
        data,
        metric=metric,
        steps=steps,
        reference_images=reference_images,
        validation_images=score_images,
        seed=seed,
    )


def _divergence(
    *, space: Space, data: Any, steps: int | None, reference_images: int, score_images: int, seed: int
) -> Evaluator:
    from natrl.evaluation.divergence import DivergenceEvaluator

    images = {"reference_images": reference_images, "validation_images": score_images}
    return DivergenceEvaluator(space, data, steps=steps, seed=seed, **images)


def _table(*, argument: str, column: str | None = None) -> Evaluator:
    return load_table(argument, column)


def _nasbench301(*, argument: str, space: Space) -> Evaluator:
    from natrl.evaluation.nasbench301 import PredictedEvaluator, SurrogateFile

    return PredictedEvaluator(SurrogateFile(argument), space)


_IMAGES = ("skeleton", "image_size", "schedule")
REWARDS: Registry[Reward] = Registry("reward", accept_reward, group="natrl.rewards")
SUPERNET = Reward(_supernet, changes=True, needs="supernet", heeds=_IMAGES)
SCRATCH = Reward(_scratch, trains=True, heeds=_IMAGES)
INHERITED = Reward(_inherited, inherits=True, needs="inheritance", heeds=("image_size",))
DIVERGENCE = Reward(_divergence, inherits=True, needs="inheritance", heeds=("image_size",))
TABLE = Reward(_table, free=True, chunk=256)
NASBENCH301 = Reward(_nasbench301, free=True, chunk=256)
REWARDS.register("supernet", "natrl.evaluation.rewards:SUPERNET", "weights that all architectures share")
REWARDS.register("scratch", "natrl.evaluation.rewards:SCRATCH", "each architecture trained from scratch")
REWARDS.register("table", "natrl.evaluation.rewards:TABLE", "trained accuracies", arguments=("NAME", "FILE"))
REWARDS.register(
    "nasbench301",
    "natrl.evaluation.rewards:NASBENCH301",
    "predictions of NAS-Bench-301's published surrogate, for space darts301",
    arguments=("FILE",),
)
REWARDS.register("inherited", "natrl.evaluation.rewards:INHERITED", "weights of a trained network")
REWARDS.register("divergence", "natrl.evaluation.rewards:DIVERGENCE", "how far outputs are from a trained network's")
