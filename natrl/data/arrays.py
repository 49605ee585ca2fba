"""Tensors as numpy arrays, which pickle and Ray's object store move without a copy."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

__all__ = ["Arrays", "as_tensor"]


@dataclass(frozen=True)
class Arrays:
    """A TensorDataset on its way."""

    arrays: tuple[np.ndarray, ...]  # each with the images along the first axis

    @classmethod
    def of(cls, dataset: Dataset[Any]) -> Arrays | Dataset[Any]:
        """A TensorDataset on the CPU as arrays; any other data set as it is."""
        if type(dataset) is TensorDataset and all(t.device.type == "cpu" for t in dataset.tensors):
            return cls(tuple(tensor.numpy() for tensor in dataset.tensors))
        return dataset

    def dataset(self) -> TensorDataset:
        """The data set again, on the same memory; nobody may write to it."""
        return TensorDataset(*map(as_tensor, self.arrays))


def as_tensor(array: np.ndarray) -> Tensor:
    """A tensor on the array's memory, which may be read-only: nobody may write to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writ", UserWarning)
        return torch.from_numpy(array)
