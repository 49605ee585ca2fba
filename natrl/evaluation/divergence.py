"""How far outputs are from those of the trained network: scores without labels, for small changes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, Tensor

from natrl.core.architecture import Architecture
from natrl.data import batches, ImageData
from natrl.evaluation.distance import divergence
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.spaces import Space
from natrl.training.fitting import MEASURING_BATCH
from natrl.training.modes import in_mode

__all__ = ["DivergenceEvaluator"]

VERSION = 1  # of what a score means, part of its key in the ledger


class DivergenceEvaluator(InheritedEvaluator):
    """Minus the mean Kullback-Leibler divergence in nats of a network's class probabilities from the original's.

    Σ p log(p ÷ q) over the classes, p of the original, treated like all others (`InheritedEvaluator`), whose score is
    0. A replacement by itself is told by it where labels say little: nothing but the original scores as much, and each
    image counts, whether its class is right or wrong (Puzzle scores single blocks so, arXiv 2411.19146).
    """

    def __init__(self, space: Space, data: ImageData, **settings: Any) -> None:
        """Settings as of an `InheritedEvaluator`, but for the metric. ValueError where the space has no original."""
        if space.original is None:
            raise ValueError(f"space {space.name!r} has no network of the user's, which others could be compared with")
        super().__init__(space, data, metric="cross_entropy", **settings)
        self._original: Tensor | None = None

    def _score(self, architecture: Architecture) -> float:
        if self._original is None:
            assert self.space.original is not None
            self._original = self._outputs(self._network(self.space.original))
        return 0.0 - divergence(self._outputs(self._network(architecture)), self._original)  # not −0

    @torch.inference_mode()
    def _outputs(self, network: nn.Module) -> Tensor:
        """Logits float64 (N, classes) on the validation images, on the CPU. FloatingPointError if not finite."""
        found = []
        with in_mode(network, training=False):
            for images, _ in batches(self._data.validation, MEASURING_BATCH, device=self.device):
                found.append(network(images).cpu().double())
        outputs = torch.cat(found)
        if not outputs.isfinite().all():
            raise FloatingPointError("the outputs on validation images are not finite")
        return outputs

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "kind": "divergence", "divergence": VERSION}
