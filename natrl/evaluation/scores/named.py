"""Scores by name: a metric, the loss that trains for it, and the kind of labels that both take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from natrl.checks.kinds import instance_of
from natrl.data.targets import Targets, targets
from natrl.registry import Registry

__all__ = ["SCORES", "Batches", "NamedScore"]

Loss = Callable[..., Tensor]
Batches = Iterable[tuple[Tensor, Tensor]]  # outputs (B, …) and labels (B, …) of a whole split, on the CPU


@dataclass(frozen=True)
class NamedScore:
    """One record. ValueError where the kind of labels is unknown, or what is balanced are no classes of examples."""

    name: str
    labels: str  # their kind, a name in `natrl.data.targets`, which also says what outputs must be
    metric: Callable[[Batches], float]  # the higher the better
    loss: Loss  # (outputs, labels, weights=) → scalar; weights of the classes (C,), or None
    balanced: bool = False  # classes weigh in the loss by inverse frequency, unless weights are given

    def __post_init__(self) -> None:
        if targets(self.labels).name != "classes" and self.balanced:
            raise ValueError(f"score {self.name!r}: labels of kind {self.labels!r} cannot be balanced, classes can")

    @property
    def targets(self) -> Targets:
        """The kind of labels."""
        return targets(self.labels)

    def weights(self, labels: np.ndarray, classes: int, given: tuple[float, ...]) -> tuple[float, ...]:
        """Of the classes in the loss, from training labels int64 (N,) or as given; empty: all alike.

        By inverse frequency n ÷ (C · nᶜ), as in scikit-learn's class_weight="balanced"; 0 of a class that is not there.
        ValueError where weights are given to a loss without classes, or there are not as many.
        """
        if given and not self.targets.classes:
            raise ValueError(f"class_weights: the loss of score {self.name!r} knows no classes; leave them out")
        if given and len(given) != classes:
            raise ValueError(f"class_weights: {len(given)} for {classes} classes; give one each")
        if given or not self.balanced:
            return given
        counts = np.bincount(labels, minlength=classes)
        if len(counts) > classes:
            raise ValueError(f"training labels reach {len(counts) - 1}, and the network gives {classes} classes")
        return tuple(float(len(labels) / (classes * n)) if n else 0.0 for n in counts)


SCORES: Registry[NamedScore] = Registry("score", instance_of(NamedScore), group="natrl.scores")
for _name, _what in {
    "balanced_accuracy": "mean of the classes' recalls; cross-entropy with classes by inverse frequency",
    "macro_f1": "mean of the classes' F1; the same loss",
    "multilabel_ap": "several labels an image: mean of their average precisions; binary cross-entropy",
    "multilabel_f1": "several labels an image: mean of their F1 at 0.5; binary cross-entropy",
    "r2": "numbers: R², mean of them; mean squared error",
    "mean_iou": "a class for each pixel: mean of their intersections over unions; cross-entropy",
}.items():
    SCORES.register(_name, f"natrl.evaluation.scores.built_in:{_name.upper()}", _what)
