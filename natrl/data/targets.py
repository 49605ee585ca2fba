"""Kinds of labels: what they look like, and which outputs of a network answer them.

N examples, C classes, L labels, D numbers, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["IGNORED", "TARGETS", "Targets", "targets"]

IGNORED = 255  # the label of pixels that count for nothing


@dataclass(frozen=True)
class Targets:
    """One kind."""

    name: str
    labels: str  # in words
    outputs: str  # of the network, in words
    dtype: torch.dtype
    fit: Callable[[Tensor], bool]  # whether labels (N, …) are of it
    answer: Callable[[Tensor, Tensor], bool]  # whether outputs (N, …) can answer labels that are
    classes: bool  # outputs are logits of classes along axis 1

    def of(self, labels: Tensor) -> Tensor:
        """The labels as a loss takes them. ValueError where they are of another kind."""
        if not self.fit(labels):
            raise ValueError(f"labels must be {self.labels}; they are {_shown(labels)}")
        return labels.to(self.dtype)

    def check(self, outputs: object, labels: Tensor, network: str) -> None:
        """ValueError where what the network gives for N examples cannot answer their labels."""
        if not isinstance(outputs, Tensor) or not outputs.is_floating_point():
            found = f"tensors of {outputs.dtype}" if isinstance(outputs, Tensor) else type(outputs).__name__
        elif self.answer(outputs, labels):
            return
        else:
            found = f"shape {tuple(outputs.shape)}"
        raise ValueError(
            f'{network} must give {self.outputs}, or a dict with that as "out"; it gives {found} for labels of shape '
            f"{tuple(labels.shape)}"
        )


def _whole(labels: Tensor) -> bool:
    return not labels.is_floating_point() and not labels.is_complex() and labels.dtype != torch.bool


def _class_each(labels: Tensor) -> bool:
    return labels.dim() == 1 and _whole(labels) and bool((labels >= 0).all())


def _zeros_and_ones(labels: Tensor) -> bool:
    return labels.dim() == 2 and labels.shape[1] > 1 and bool(((labels == 0) | (labels == 1)).all())


def _numbers(labels: Tensor) -> bool:
    return labels.dim() in (1, 2) and labels.is_floating_point() and bool(labels.isfinite().all())


def _class_each_pixel(labels: Tensor) -> bool:
    return labels.dim() == 3 and _whole(labels) and bool((labels >= 0).all())


def _logits(outputs: Tensor, labels: Tensor) -> bool:
    """(N, C, …) of which each label (N, …) names one."""
    named = labels[labels != IGNORED] if labels.dim() > 1 else labels
    shaped = outputs.dim() == labels.dim() + 1 and outputs.shape[2:] == labels.shape[1:] and outputs.shape[1] > 1
    return shaped and int(named.max() if len(named) else 0) < outputs.shape[1]


def _as_many(outputs: Tensor, labels: Tensor) -> bool:
    """As many numbers for each example; one may stand alone or in an axis of its own."""
    return outputs.dim() in (1, 2) and outputs.shape[:1] == labels.shape[:1] and outputs.numel() == labels.numel()


TARGETS = {
    kind.name: kind
    for kind in (
        Targets(
            "classes",
            "a class for each example, whole numbers from 0, (N,)",
            "a logit for each class, (N, C)",
            torch.int64,
            _class_each,
            _logits,
            True,
        ),
        Targets(
            "several",
            "0 or 1 for each of L ≥ 2 labels, (N, L)",
            "a logit for each label, (N, L)",
            torch.float32,
            _zeros_and_ones,
            lambda outputs, labels: outputs.shape == labels.shape,
            False,
        ),
        Targets(
            "numbers",
            "finite floating-point numbers, (N,) or (N, D)",
            "as many numbers, (N,) or (N, D)",
            torch.float32,
            _numbers,
            _as_many,
            False,
        ),
        Targets(
            "pixels",
            f"a class for each pixel, whole numbers from 0, (N, H, W), {IGNORED} where it shall not count",
            "a logit for each class and pixel, (N, C, H, W)",
            torch.int64,
            _class_each_pixel,
            _logits,
            True,
        ),
    )
}


def targets(name: str) -> Targets:
    """The kind of that name. ValueError lists all."""
    if name not in TARGETS:
        raise ValueError(f"unknown kind of labels {name!r}; known: {', '.join(TARGETS)}")
    return TARGETS[name]


def _shown(labels: Tensor) -> str:
    values = f" in {labels.min():.4g} … {labels.max():.4g}" if labels.numel() and not labels.is_complex() else ""
    return f"{str(labels.dtype).removeprefix('torch.')} {tuple(labels.shape)}{values}"
