"""Other architectures of the same network, treated as the result was: what a comparison needs."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from natrl.core.architecture import Architecture
from natrl.data import ImageData
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.tuning.optimize.fine_tunings import fine_tune_all
from natrl.tuning.optimize.result import Optimized
from natrl.tuning.optimize.settings import OptimizeSettings

__all__ = ["fine_tuned_alike"]


def fine_tuned_alike(
    found: Optimized, architectures: Mapping[str, Architecture], data: ImageData, settings: OptimizeSettings
) -> dict[str, nn.Module]:
    """Each architecture of `found.space` as a network: inherited by least squares and fine-tuned like the result.

    The same schedule (in one piece: the result's begins anew after its first epoch), data, teacher and seed; Ray must
    run. The original among them is the original with new batch-norm statistics, fine-tuned alike.
    """
    spec = settings.evaluator
    evaluator = InheritedEvaluator(found.space, data, reference_images=spec.reference_images, seed=settings.seed)
    networks = [evaluator.inherit(architecture) for architecture in architectures.values()]
    tuned = fine_tune_all(networks, data, settings, teacher=found.space.model if settings.distill else None)
    loaded = [result.load_into(network).eval() for result, network in zip(tuned, networks, strict=True)]
    return dict(zip(architectures, loaded, strict=True))
