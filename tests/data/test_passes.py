"""Batches by number, and a data set in two parts."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import Dataset, TensorDataset

from natrl.data.passes import in_two, Passes

NUMBERS = TensorDataset(torch.arange(50.0).view(50, 1, 1, 1), torch.arange(50))


class Lazy(Dataset):
    """The same, read image by image."""

    def __len__(self) -> int:
        return 50

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.full((1, 1, 1), float(index)), index


def labels(passes: Passes, numbers: list[int]) -> list[list[int]]:
    return [passes.batch(number)[1].tolist() for number in numbers]


def test_a_pass_reads_every_image_once_and_the_next_one_in_another_order():
    passes = Passes(NUMBERS, 10, seed=(3,))
    assert passes.length == 5
    first, second = labels(passes, [0, 1, 2, 3, 4]), labels(passes, [5, 6, 7, 8, 9])
    assert sorted(chain(*first)) == sorted(chain(*second)) == list(range(50))
    assert first != second


@given(st.lists(st.integers(0, 20), max_size=8), st.integers(1, 60))
def test_a_batch_is_the_same_whenever_it_is_asked_for(numbers, batch_size):
    passes = Passes(NUMBERS, batch_size, seed=(0,))
    assert labels(passes, numbers) == [labels(Passes(NUMBERS, batch_size, seed=(0,)), [n])[0] for n in numbers]


def test_an_incomplete_batch_is_left_out_unless_it_is_the_only_one():
    assert Passes(NUMBERS, 20, seed=(0,)).length == 2
    assert [len(Passes(NUMBERS, 60, seed=(0,)).batch(n)[1]) for n in range(3)] == [50, 50, 50]


@pytest.mark.parametrize("dataset", [NUMBERS, Lazy()], ids=["in memory", "read one by one"])
@pytest.mark.parametrize("share", [0.4, 0.5, 0.02])
def test_two_parts_are_disjoint_and_cover_everything(dataset, share):
    first, second = (sorted(int(label) for _, label in part) for part in in_two(dataset, share, seed=1))
    assert len(first) == round(50 * share)
    assert sorted(first + second) == list(range(50))
    assert [int(label) for _, label in in_two(dataset, share, seed=1)[0]] == first
    assert sorted(int(label) for _, label in in_two(dataset, share, seed=2)[0]) != first


@pytest.mark.parametrize("share", [0.0, 0.001, 0.999, 1.0])
def test_a_part_without_images_is_refused(share):
    with pytest.raises(ValueError, match="of 50 leaves none for one of the two parts"):
        in_two(NUMBERS, share, seed=0)
