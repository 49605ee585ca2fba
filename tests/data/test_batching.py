"""Batches show every image once, in an order that only the seed fixes, from memory as from files."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from natrl.data import Augmentation, batches


def numbered(n: int) -> TensorDataset:
    """Image i is filled with i and has label i."""
    return TensorDataset(torch.arange(float(n))[:, None, None, None].expand(n, 3, 4, 4), torch.arange(n))


class Slow(Dataset[Any]):
    """The same, item by item."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        if i >= self.n:
            raise IndexError(i)
        return torch.full((3, 4, 4), float(i)), i


@given(st.integers(1, 30), st.integers(1, 12), st.one_of(st.none(), st.integers(0, 100)), st.booleans())
def test_every_image_once_with_its_label(n: int, size: int, seed: int | None, drop_last: bool) -> None:
    found = list(batches(numbered(n), size, shuffle_seed=seed, drop_last=drop_last))
    assert all(torch.equal(images[:, 0, 0, 0].long(), labels) for images, labels in found)
    sizes = [len(labels) for _, labels in found]
    assert sizes == [size] * (n // size) + ([n % size] if n % size and not drop_last else [])
    order = torch.cat([labels for _, labels in found]).tolist() if found else []
    assert len(set(order)) == len(order)
    if not drop_last:
        assert sorted(order) == list(range(n))
    if seed is None:
        assert order == sorted(order)


@given(st.integers(1, 20), st.integers(1, 7), st.one_of(st.none(), st.integers(0, 100)))
def test_files_give_the_same_batches_as_memory(n: int, size: int, seed: int | None) -> None:
    augment = Augmentation(padding=1, flip=True, cutout=2) if seed is not None else None
    fast, slow = (list(batches(d, size, shuffle_seed=seed, augment=augment)) for d in (numbered(n), Slow(n)))
    assert len(fast) == len(slow)
    for (images, labels), (same_images, same_labels) in zip(fast, slow, strict=True):
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)
        assert labels.dtype == same_labels.dtype == torch.int64


# Python 3.12 and later warn of any fork beside threads; torch's loader forks.
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_worker_processes_give_the_same_batches() -> None:  # starting a process takes a moment
    alone = list(batches(Slow(10), 3, shuffle_seed=5))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with_worker = list(batches(Slow(10), 3, shuffle_seed=5))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for x, y in zip(alone, with_worker, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("dataset", [numbered(12), Slow(12)])
def test_the_seed_alone_fixes_the_order(dataset: Dataset[Any]) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = [labels for _, labels in batches(dataset, 5, shuffle_seed=3)]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again = [labels for _, labels in batches(dataset, 5, shuffle_seed=3)]
    other = [labels for _, labels in batches(dataset, 5, shuffle_seed=4)]
    assert torch.equal(torch.cat(first), torch.cat(again))
    assert not torch.equal(torch.cat(first), torch.cat(other))


def test_images_lie_channels_last() -> None:
    images, _ = next(batches(numbered(4), 2, shuffle_seed=0, augment=Augmentation(flip=True)))
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        next(batches(numbered(4), 0))
    with pytest.raises(ValueError, match="augmentation needs a shuffle_seed"):
        next(batches(numbered(4), 2, augment=Augmentation(flip=True)))
