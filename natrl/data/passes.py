"""A data set in batches, pass after pass, each in an order of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset, TensorDataset

from natrl.data.augmentation import Augmentation
from natrl.data.batching import batches
from natrl.data.labels import size_of

__all__ = ["Passes", "in_parts", "in_two", "pass_length", "taken"]


class Passes:
    """An endless row of batches, numbered from 0; a batch is the same whenever it is asked for.

    A pass reads the data set once, without an incomplete batch unless that is the only one. Asking for one batch after
    the other reads nothing twice.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch_size: int,
        *,
        seed: Sequence[int],
        augment: Augmentation | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        self._dataset, self._batch_size, self._seed = dataset, batch_size, tuple(seed)
        self._augment, self._device = augment, device
        self._images = size_of(dataset)
        self.length = pass_length(self._images, batch_size)  # batches a pass
        self._next = 0
        self._batches: Iterator[tuple[Tensor, Tensor]] = iter(())

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Images float32 (B, C, H, W) and labels int64 (B,) of that batch."""
        round_, position = divmod(number, self.length)
        if position == 0 or number != self._next:
            self._batches = islice(self._pass(round_), position, None)
        self._next = number + 1
        return next(self._batches)

    def _pass(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        return batches(
            self._dataset,
            self._batch_size,
            shuffle_seed=int(np.random.SeedSequence((*self._seed, number)).generate_state(1)[0]),
            augment=self._augment,
            device=self._device,
            drop_last=self._images >= self._batch_size,
        )


def pass_length(images: int, batch_size: int) -> int:
    """Batches of one pass over so many images."""
    return max(1, images // batch_size)


def in_two(dataset: Dataset[Any], share: float, *, seed: int) -> tuple[Dataset[Any], Dataset[Any]]:
    """A share of the images, drawn by the seed, and the others. ValueError if that leaves one of them empty."""
    rest, first = in_parts(size_of(dataset), share, seed)
    return taken(dataset, first), taken(dataset, rest)


def in_parts(size: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the rest and of a share that the seed draws, both rising. ValueError where one would be empty."""
    count = round(share * size)
    if not 0 < count < size:
        raise ValueError(f"too few examples: a share of {share:.6g} of {size} leaves none for one of the two parts")
    order = np.random.default_rng(seed).permutation(size)
    return np.sort(order[count:]), np.sort(order[:count])


def taken(dataset: Dataset[Any], indices: np.ndarray) -> Dataset[Any]:
    """The part of those indices, int64 (N,); in memory where the data set is."""
    if isinstance(dataset, TensorDataset):
        return TensorDataset(*(tensor[torch.from_numpy(indices)] for tensor in dataset.tensors))
    return Subset(dataset, indices.tolist())
