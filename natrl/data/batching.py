"""Batches of a data set, shuffled and augmented by one seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from natrl.data.augmentation import Augmentation
from natrl.data.labels import size_of

__all__ = ["batches"]

MOST_WORKERS = 8  # processes that read image files; more of them wait for the disk


def batches(
    dataset: Dataset[Any],
    batch_size: int,
    *,
    shuffle_seed: int | None = None,
    augment: Augmentation | None = None,
    device: torch.device | str | None = None,
    drop_last: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Images float32 (B, C, H, W), channels last in memory, and labels int64 (B,), on the device.

    Of other data sets (`natrl.data.labelled`) their inputs and labels, as these are.
    In the data set's order, or in one drawn from `shuffle_seed`, which also seeds the augmentation: the same seed gives
    the same batches on every device, and the global random state is neither read nor changed. Data sets in memory are
    indexed directly; others are read by worker processes, as many as torch may use threads, less one.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if augment and shuffle_seed is None:
        raise ValueError("augmentation needs a shuffle_seed: its random numbers come from it")
    generator = torch.Generator().manual_seed(shuffle_seed or 0)
    size = size_of(dataset)
    order = torch.arange(size) if shuffle_seed is None else torch.randperm(size, generator=generator)
    chunks = [c for c in order.split(batch_size) if not drop_last or len(c) == batch_size]
    for images, labels in _read(dataset, chunks):
        images = images.to(device, memory_format=torch.channels_last if images.dim() == 4 else torch.preserve_format)
        yield augment(images, generator) if augment else images, labels.to(device)


def _read(dataset: Dataset[Any], chunks: list[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    if isinstance(dataset, TensorDataset):
        yield from (dataset[chunk] for chunk in chunks)
        return
    yield from DataLoader(
        dataset,
        batch_sampler=[chunk.tolist() for chunk in chunks],
        num_workers=min(MOST_WORKERS, torch.get_num_threads() - 1),
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # else the loader draws from the global random state
    )
