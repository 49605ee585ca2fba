"""Splits are disjoint, cover everything, hold each class in its proportion and repeat by their seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from natrl.data.splits import stratified_split

COUNTS = st.lists(st.integers(4, 40), min_size=2, max_size=6)  # images of each class
SHARES = st.lists(st.floats(0.1, 0.3), min_size=1, max_size=2)
SEEDS = st.integers(0, 2**32 - 1)


def labels_and_sizes(counts: list[int], shares: list[float], seed: int) -> tuple[np.ndarray, list[int]]:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    sizes = [round(share * len(labels)) for share in shares]
    assume(min(sizes) >= len(counts))
    return labels, sizes


@given(COUNTS, SHARES, SEEDS)
def test_parts_are_disjoint_and_cover_everything(counts: list[int], shares: list[float], seed: int) -> None:
    labels, sizes = labels_and_sizes(counts, shares, seed)
    parts = stratified_split(labels, sizes, seed=seed)
    assert [len(part) for part in parts] == [len(labels) - sum(sizes), *sizes]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))


@given(COUNTS, SHARES, SEEDS)
def test_each_part_holds_each_class_in_its_proportion(counts: list[int], shares: list[float], seed: int) -> None:
    labels, sizes = labels_and_sizes(counts, shares, seed)
    for part in stratified_split(labels, sizes, seed=seed):
        found = np.bincount(labels[part], minlength=len(counts))
        wanted = np.array(counts) * len(part) / len(labels)
        assert np.all(np.abs(found - wanted) < 2)  # each of up to two draws rounds


@given(COUNTS, SHARES, SEEDS)
def test_the_seed_fixes_the_split(counts: list[int], shares: list[float], seed: int) -> None:
    labels, sizes = labels_and_sizes(counts, shares, seed)
    first, again = (stratified_split(labels, sizes, seed=seed) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@given(COUNTS, SEEDS, SEEDS)
def test_the_test_part_is_the_same_for_every_seed(counts: list[int], seed: int, other: int) -> None:
    labels, sizes = labels_and_sizes(counts, [0.2, 0.2], 0)
    parts, others = (stratified_split(labels, sizes, seed=by) for by in (seed, other))
    assert np.array_equal(parts[2], others[2])
    assert not set(parts[2]) & {*others[0], *others[1]}, "what is tested on is never trained or chosen on"


def test_another_seed_gives_other_training_and_validation_parts() -> None:
    labels = np.repeat(np.arange(4), 25)
    first, other = (stratified_split(labels, (20, 20), seed=seed) for seed in (0, 1))
    assert [np.array_equal(a, b) for a, b in zip(first, other, strict=True)] == [False, False, True]
    first, other = (stratified_split(labels, (20,), seed=seed) for seed in (0, 1))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True)), "where a test part is there"


def test_nothing_held_out_is_everything_for_training() -> None:
    (train,) = stratified_split(np.array([0, 1, 1]), (), seed=0)
    assert train.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("labels", "held_out", "message"),
    [
        ([0, 0, 0, 0, 1, 1], (2, 2), r"class 1 has 2 image\(s\); 3 parts need at least 3"),
        ([0, 1] * 20, (1,), "parts of 39, 1 images cannot each hold 2 classes"),
        ([0, 1] * 5, (9,), "parts of 1, 9 images cannot each hold 2 classes"),
    ],
)
def test_too_few_images_are_refused(labels: list[int], held_out: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stratified_split(np.array(labels), held_out, seed=0)
