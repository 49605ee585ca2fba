"""The scores that natrl names, by scikit-learn's metrics and torch's losses."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from natrl.data.targets import IGNORED
from natrl.evaluation.scores.named import Batches, NamedScore

__all__ = ["BALANCED_ACCURACY", "MACRO_F1", "MEAN_IOU", "MULTILABEL_AP", "MULTILABEL_F1", "R2"]


def balanced_accuracy(batches: Batches) -> float:
    """The mean of the recalls of the classes that there are."""
    from sklearn.metrics import recall_score  # slow to import, here and below

    answers, labels = _classes(batches)
    return float(recall_score(labels, answers, labels=np.unique(labels), average="macro"))


def macro_f1(batches: Batches) -> float:
    """The mean of the F1 of all classes that are there or were named."""
    from sklearn.metrics import f1_score

    answers, labels = _classes(batches)
    return float(f1_score(labels, answers, average="macro", zero_division=0))


def multilabel_ap(batches: Batches) -> float:
    """The mean of the average precisions of all labels that some example has."""
    from sklearn.metrics import average_precision_score

    logits, labels = _all(batches)
    there = labels.any(0)
    if not there.any():
        raise ValueError("no example has any label")
    return float(average_precision_score(labels[:, there], logits[:, there], average="macro"))


def multilabel_f1(batches: Batches) -> float:
    """The mean of the F1 of all labels, each said to be there from a probability of 0.5."""
    from sklearn.metrics import f1_score

    logits, labels = _all(batches)
    _check_finite(logits)
    return float(f1_score(labels, logits >= 0, average="macro", zero_division=0))


def r2(batches: Batches) -> float:
    """1 − the mean squared error ÷ the variance, the mean over the numbers; 0 is what their means alone reach."""
    from sklearn.metrics import r2_score

    outputs, labels = _all(batches)
    return float(r2_score(labels.reshape(len(labels), -1), outputs.reshape(len(labels), -1)))


def mean_iou(batches: Batches) -> float:
    """The mean over classes of the pixels that are and were said to be of it ÷ those that are or were."""
    from sklearn.metrics import confusion_matrix, jaccard_score

    counts = np.zeros((1, 1))
    for logits, labels in batches:
        counted = labels != IGNORED
        _check_labels(labels[counted], logits)
        if counted.any():
            are, said = labels[counted].numpy(), logits.argmax(1)[counted].numpy()
            counts = counts + confusion_matrix(are, said, labels=np.arange(logits.shape[1]))
    there = np.flatnonzero(counts.sum(0) + counts.sum(1))
    if not len(there):
        raise ValueError(f"no pixel counts: all labels are {IGNORED}")
    are, said = (index.ravel() for index in np.indices(counts.shape))
    return float(jaccard_score(are, said, labels=there, average="macro", sample_weight=counts.ravel()))


def _classes(batches: Batches) -> tuple[np.ndarray, np.ndarray]:
    """The class that each example was said to be of, and is; int64 (N,)."""
    logits, labels = _all(batches)
    _check_finite(logits)
    return logits.argmax(1), labels


def _all(batches: Batches) -> tuple[np.ndarray, np.ndarray]:
    outputs, labels = (torch.cat(parts).numpy() for parts in zip(*batches, strict=True))
    return outputs, labels


def _check_finite(logits: np.ndarray) -> None:
    """(scikit-learn does it for numbers, and argmax would take NaN for a class.)"""
    if not np.isfinite(logits).all():
        raise ValueError("outputs are not finite")


def _check_labels(labels: Tensor, logits: Tensor) -> None:
    if not logits.isfinite().all():
        raise ValueError("outputs are not finite")
    if len(labels) and int(labels.max()) >= logits.shape[1]:
        raise ValueError(f"a pixel is of class {int(labels.max())}, and the network knows {logits.shape[1]}")


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Of examples or pixels, those labelled `IGNORED` left out; the mean weighted by their classes."""
    ignored = IGNORED if labels.dim() > 1 else -100
    return functional.cross_entropy(logits, labels, weights, ignore_index=ignored)


def binary_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over examples and labels."""
    return functional.binary_cross_entropy_with_logits(logits, labels)


def squared_error(outputs: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over examples and numbers."""
    return functional.mse_loss(outputs.reshape(labels.shape), labels)


BALANCED_ACCURACY = NamedScore("balanced_accuracy", "classes", balanced_accuracy, cross_entropy, balanced=True)
MACRO_F1 = NamedScore("macro_f1", "classes", macro_f1, cross_entropy, balanced=True)
MULTILABEL_AP = NamedScore("multilabel_ap", "several", multilabel_ap, binary_cross_entropy)
MULTILABEL_F1 = NamedScore("multilabel_f1", "several", multilabel_f1, binary_cross_entropy)
R2 = NamedScore("r2", "numbers", r2, squared_error)
MEAN_IOU = NamedScore("mean_iou", "pixels", mean_iou, cross_entropy)
