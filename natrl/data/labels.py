"""The size, labels and class names of a torch data set, without reading its images where that can be avoided."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, Subset, TensorDataset

__all__ = ["class_names", "labels_of", "size_of"]


def size_of(dataset: Dataset[Any]) -> int:
    """Number of images."""
    return len(dataset)  # type: ignore[arg-type]  # torch's Dataset declares no length


def labels_of(dataset: Dataset[Any]) -> np.ndarray:
    """int64 (N,): from where torchvision's data sets keep them, else by reading every item.

    ValueError where those of a TensorDataset are no classes.
    """
    if isinstance(dataset, TensorDataset):
        return _classes(dataset.tensors[1])
    if isinstance(dataset, Subset):
        return labels_of(dataset.dataset)[np.asarray(dataset.indices)]
    size = size_of(dataset)
    for name in ("targets", "_labels", "labels", "y"):
        labels = getattr(dataset, name, None)
        if labels is not None and len(labels) == size:
            return np.asarray(labels, dtype=np.int64).reshape(size, -1)[:, 0]  # QMNIST: the label, then its origin
    for name in ("samples", "_samples"):
        samples = getattr(dataset, name, None)
        if samples is not None and len(samples) == size:
            return np.array([label for _, label in samples], dtype=np.int64)
    return np.array([int(dataset[i][1]) for i in range(size)], dtype=np.int64)


def _classes(labels: Tensor) -> np.ndarray:
    if labels.dim() != 1 or labels.is_floating_point():
        found = f"{str(labels.dtype).removeprefix('torch.')} {tuple(labels.shape)}"
        raise ValueError(
            f"labels must be a class for each image, whole numbers (N,), got {found}: give a score that takes them"
        )
    return np.asarray(labels, dtype=np.int64)


def class_names(dataset: Dataset[Any], labels: np.ndarray) -> tuple[str, ...]:
    """The names that the data set gives its classes, else their numbers from 0 to the highest label."""
    names = getattr(dataset, "classes", None) or getattr(dataset, "categories", None) or range(int(labels.max()) + 1)
    return tuple(", ".join(name) if isinstance(name, tuple) else str(name) for name in names)  # ImageNet: synonyms
