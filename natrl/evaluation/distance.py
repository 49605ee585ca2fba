"""How far a network's outputs are from the original's: a score that needs no labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, Tensor
from torch.nn.functional import kl_div, log_softmax

from natrl.evaluation.scores.named import SCORES
from natrl.modules.replace.copies import copied
from natrl.modules.trace.torch_operations import tensors
from natrl.training.device import default_device
from natrl.training.modes import in_mode

__all__ = ["OutputDistance", "divergence", "named_score"]


def divergence(logits: Tensor, original: Tensor) -> float:
    """The mean over N images of Σ p log(p ÷ q) in nats, p of the original's classes; both are logits (N, classes)."""
    q, p = (log_softmax(tensor.cpu().double(), 1) for tensor in (logits, original))
    return max(0.0, kl_div(q, p, reduction="batchmean", log_target=True).item())


class OutputDistance:
    """A score: minus the distance between what a network and the original give on the same inputs; at most 0.

    The mean over all floating-point tensors of the outputs, however they are nested. For logits (B, C), C at least 2,
    it is the Kullback-Leibler divergence of the classes' probabilities from the original's, in nats an image; for any
    other tensor the squared difference relative to the original's square, Σ (a − b)² / Σ b². It needs no labels, and
    every output counts, where accuracy only counts those that change sides.
    """

    def __init__(self, original: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Runs the original once and keeps its outputs. ValueError where it gives no floating-point tensor."""
        self.__name__, self.inputs = "distance", inputs
        with in_mode(network := copied(original).to(default_device()), training=False):
            self.wanted = [tensor.cpu() for tensor in self._outputs(network)]
        if not any(tensor.is_floating_point() for tensor in self.wanted):
            raise ValueError('score="distance" compares floating-point outputs, and the network gives none')

    def __call__(self, network: nn.Module) -> float:
        """ValueError where the outputs are others in number or shape than the original's."""
        found = self._outputs(network)
        if [tensor.shape for tensor in found] != [tensor.shape for tensor in self.wanted]:
            raise ValueError("its outputs have other shapes than the original's: give a score of your own")
        pairs = [(a, b.to(a.device)) for a, b in zip(found, self.wanted, strict=True) if b.is_floating_point()]
        return 0.0 - sum(_distance(a.float(), b.float()) for a, b in pairs) / len(pairs)  # not −0

    @torch.no_grad()
    def _outputs(self, network: nn.Module) -> list[Tensor]:
        device = next((tensor.device for tensor in network.parameters()), torch.device("cpu"))
        outputs = network(*(tensor.to(device) for tensor in self.inputs))
        return tensors(outputs)


def named_score(score: Any, original: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    """The score of that name, "distance"; what is no text is one already. ValueError on another name."""
    if not isinstance(score, str):
        return score
    if score != "distance":
        named = f"with data, {', '.join(SCORES.names())}"
        raise ValueError(f'a score is a function of a network, or "distance", got {score!r:.60}; {named}')
    return OutputDistance(original, inputs)


def _distance(found: Tensor, wanted: Tensor) -> float:
    if wanted.dim() == 2 and wanted.shape[1] > 1:
        return divergence(found, wanted)
    return float((found - wanted).square().sum() / wanted.square().sum().clamp_min(1e-12))
