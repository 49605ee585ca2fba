"""Networks are fine-tuned on Ray: a few candidates, and what they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy

from torch import nn

from natrl.core.architecture import Architecture
from natrl.data import ImageData
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.modules.space import ModuleSpace
from natrl.training.fine_tuning import fine_tune, Tuned
from natrl.tuning.optimize.settings import OptimizeSettings
from natrl.tuning.tasks import put, run_tasks

__all__ = ["fine_tune_all", "fine_tuned_alike"]


def fine_tune_all(
    networks: Sequence[nn.Module],
    data: ImageData,
    settings: OptimizeSettings,
    *,
    teacher: nn.Module | None = None,
    on_result: Callable[[int, Tuned], None] | None = None,
) -> list[Tuned]:
    """Fine-tunes every network in a Ray task of its own, in the order given; Ray must run.

    The networks are left as they are: `Tuned.load_into` puts the weights into them. The test split stays unread, and is
    not sent. `on_result(index, tuned)` is called as soon as each is done. ValueError or RuntimeError with the
    training's own message if one fails.
    """
    shared, spec = put(data), settings.evaluator
    taught = put(None if teacher is None else deepcopy(teacher).cpu())
    calls = [{"network": deepcopy(n).cpu(), "data": shared, "teacher": taught, "settings": settings} for n in networks]
    resources = {"num_cpus": spec.num_cpus, "num_gpus": spec.num_gpus}
    return run_tasks(_fine_tune, calls, what="a fine-tuning", on_result=on_result, **resources)


def _fine_tune(network: nn.Module, data: ImageData, teacher: nn.Module | None, settings: OptimizeSettings) -> Tuned:
    bf16 = settings.evaluator.bf16
    return fine_tune(network, data, settings.fine_tuning, seed=settings.seed, teacher=teacher, bf16=bf16)


def fine_tuned_alike(
    space: ModuleSpace, architectures: Mapping[str, Architecture], data: ImageData, settings: OptimizeSettings
) -> dict[str, nn.Module]:
    """Each architecture as a network: inherited by least squares, and fine-tuned like the result of an optimization.

    The same schedule (in one piece: the result's begins anew after its first epoch), data, teacher and seed; Ray must
    run. The original among them is the original with new batch-norm statistics, fine-tuned alike.
    """
    spec = settings.evaluator
    evaluator = InheritedEvaluator(space, data, reference_images=spec.reference_images, seed=settings.seed)
    networks = [evaluator.inherit(architecture) for architecture in architectures.values()]
    tuned = fine_tune_all(networks, data, settings, teacher=space.model if settings.distill else None)
    loaded = [result.load_into(network).eval() for result, network in zip(tuned, networks, strict=True)]
    return dict(zip(architectures, loaded, strict=True))
