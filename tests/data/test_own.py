"""One's own data through "module:callable"."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from natrl.data import load_data
from natrl.data.own import _from_parts

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 4


@pytest.fixture
def returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], str]]:
    """Puts a module into the current folder, whose function returns the value; gives "module:callable"."""
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    values: list[Any] = []
    monkeypatch.setattr(sys, "natrl_test_values", values, raising=False)

    def make(value: Any) -> str:
        values.append(value)
        (tmp_path / "own_images.py").write_text(
            "import sys\ndef load():\n    return sys.natrl_test_values[-1]\nplain = 3\n"
        )
        return "own_images:load"

    yield make
    sys.modules.pop("own_images", None)
    assert sys.path == path, "the current folder is on the path only meanwhile"


@pytest.mark.parametrize("shape", [(40, 6, 6), (40, 1, 6, 6), (40, 6, 6, 1), (40, 3, 6, 6), (40, 6, 6, 3)])
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_arrays_are_split(returns: Callable[[Any], str], shape: tuple[int, ...], convert: Callable[..., Any]) -> None:
    images = RNG.integers(0, 256, shape, dtype=np.uint8)
    data = load_data(returns((convert(images), convert(LABELS))))
    channels = 3 if 3 in shape else 1
    assert (data.name, data.image_channels, data.image_size) == ("own_images:load", channels, 6)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [24, 8, 8]
    assert data.train[0][0].shape == (channels, 6, 6)
    assert not data.augmentation.flip, "nobody said that mirror images are right"
    assert np.bincount(data.test.tensors[1]).tolist() == [2, 2, 2, 2]


def test_channels_last_is_the_same_as_channels_first(returns: Callable[[Any], str]) -> None:
    images = RNG.random((40, 5, 5, 3))
    last = load_data(returns((images, LABELS)))
    first = load_data(returns((images.transpose(0, 3, 1, 2), LABELS)))
    assert torch.equal(last.test.tensors[0], first.test.tensors[0])


def test_labels_may_be_names_or_any_numbers(returns: Callable[[Any], str]) -> None:
    images = np.broadcast_to(LABELS[:, None, None], (40, 4, 4))
    data = load_data(returns((images, np.array(["pear", "fig", "apple", "plum"])[LABELS])))
    assert data.class_names == ("apple", "fig", "pear", "plum")
    brightness = {data.class_names[int(y)]: round(float(x.mean()), 3) for x, y in (data.train[i] for i in range(24))}
    assert sorted(brightness, key=brightness.__getitem__) == ["pear", "fig", "apple", "plum"]
    assert load_data(returns((images, 10 * LABELS))).class_names == ("0", "10", "20", "30")


def test_image_data_is_returned_as_it_is(returns: Callable[[Any], str]) -> None:
    digits = load_data("digits")
    assert load_data(returns(digits)) is digits


def test_two_tensor_data_sets(returns: Callable[[Any], str]) -> None:
    images, labels = torch.rand(40, 1, 4, 4), torch.from_numpy(LABELS)
    data = load_data(returns((TensorDataset(images, labels), TensorDataset(images[:12], labels[:12]))), image_size=2)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [32, 8, 12]
    assert data.class_names == ("0", "1", "2", "3")
    assert isinstance(data.train, TensorDataset)
    assert data.test[0][0].shape == (1, 2, 2)


@given(
    shares=st.lists(st.integers(12, 30), min_size=2, max_size=4),
    seeds=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    validation=st.booleans(),
    tested=st.booleans(),
)
@settings(max_examples=20)
def test_test_images_depend_on_the_data_alone(
    shares: list[int], seeds: tuple[int, int], validation: bool, tested: bool
) -> None:
    """Whichever parts come, each image is known by its brightness."""
    labels = np.repeat(np.arange(len(shares)), shares)
    images = np.arange(4000.0, 4000 + 3 * len(labels)).reshape(3, len(labels), 1, 1)
    whole = {"train": (images[0], labels), "validation": (images[1], labels), "test": (images[2], labels)}
    given_parts = {n: p for n, p in whole.items() if n == "train" or (validation, tested)[n == "test"]}
    found = [_parts_of(given_parts, seed) for seed in seeds]
    assert found[0][2] == found[1][2]
    for a, b in ((found[0], found[1]), (found[1], found[0])):
        assert not a[2] & (b[0] | b[1]), "tested on in one run, seen in another"
        assert not a[0] & a[1]
    assert not validation or found[0][0] == set(images[0].ravel()), "what a user trained on stays whole"


def _parts_of(parts: dict[str, Any], seed: int) -> list[set[float]]:
    """The brightness of the images of each split."""
    raw = _from_parts("mine", parts)
    data = raw.build(seed=seed)
    mean, std = raw._split(seed)[0].statistics(1, seed)
    return [
        set((part.tensors[0].ravel().double() * std + mean).round().tolist())
        for part in (data.train, data.validation, data.test)
    ]


def test_a_split_of_ones_own_is_kept(returns: Callable[[Any], str]) -> None:
    parts = [TensorDataset(torch.rand(n, 1, 4, 4), torch.arange(n) % 2) for n in (20, 6, 8)]
    data = load_data(returns(tuple(parts)), seed=5)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [20, 6, 8]
    assert set(data.origins.values()) == {"the data's own"}
    data = load_data(returns({"train": parts[0], "validation": (np.zeros((6, 4, 4)), [0, 1] * 3)}))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [20, 3, 3]


class Pictures(Dataset[Any]):
    def __init__(self, n: int, make: Callable[[int], Any]) -> None:
        self.n, self.make = n, make

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return self.make(i), i % 2


@pytest.mark.parametrize(
    ("make", "channels"),
    [
        (lambda i: Image.new("L", (6, 6), 7 * i), 1),
        (lambda i: Image.new("RGB", (6, 6), (i, 3 * i, 7)), 3),
        (lambda i: np.full((6, 6, 3), i, np.uint8), 3),
        (lambda i: torch.full((1, 6, 6), i / 20), 1),
        (lambda i: torch.full((2, 6, 6), i / 20), 2),
    ],
)
def test_two_data_sets_of_any_images(returns: Callable[[Any], str], make: Callable[[int], Any], channels: int) -> None:
    data = load_data(returns((Pictures(20, make), Pictures(6, make))))
    assert (data.num_classes, data.image_channels, data.image_size) == (2, channels, 6)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [16, 4, 6]
    images = torch.stack([data.train[i][0] for i in range(16)])
    assert images.dtype == torch.float32
    torch.testing.assert_close(images[:, 0].mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(images[:, 0].std(correction=0), torch.tensor(1.0), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, r"expected ImageData, \(images, labels\), data sets or loaders \(train, test\) or .*, got int"),
        ({"train": 3, "val": 4}, r"\{'train': …, 'validation': …, 'test': …\}, got dict"),
        ((1, 2, 3), "got tuple"),
        ((np.zeros((4, 2, 3)), [0, 1, 0, 1]), r"images must be square.* got shape \(4, 2, 3\)"),
        ((np.zeros((4, 9, 9, 9)), [0, 1, 0, 1]), "at most 4 channels"),
        ((np.zeros((0, 4, 4)), []), "images must be square"),
        ((np.full((4, 2, 2), np.nan), [0, 1, 0, 1]), "not finite"),
        ((np.zeros((4, 2, 2)), [0, 1, 0]), r"4 images need labels of shape \(4,\), got \(3,\)"),
        ((np.zeros((4, 2, 2)), [0.0, 1.0, 0.0, 1.0]), "labels must be whole numbers or names"),
        ((np.zeros((9, 2, 2)), [0, 1, 1, 0, 1, 1, 1, 1, 1]), r"class 0 has 2 image\(s\); 3 parts need at least 3"),
        ((np.zeros((9, 2, 2)), [0] * 9), "at least 2 classes, got 1"),
        (
            (
                TensorDataset(torch.rand(9, 1, 2, 2), torch.arange(9) % 2),
                TensorDataset(torch.rand(2, 1, 2, 2), torch.tensor([0, 2])),
            ),
            "labels must lie in 0 … 1",
        ),
        (("ab", "cd"), "own_images:load"),
    ],
)
def test_what_cannot_be_read_is_one_line(returns: Callable[[Any], str], value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load_data(returns(value))
    assert "\n" not in str(caught.value)


def test_missing_modules_and_functions_are_named(returns: Callable[[Any], str]) -> None:
    returns(None)
    with pytest.raises(ValueError, match="data 'nowhere:load': No module named 'nowhere'"):
        load_data("nowhere:load")
    with pytest.raises(ValueError, match="data 'own_images:lead': module 'own_images' has no 'lead'"):
        load_data("own_images:lead")
    with pytest.raises(ValueError, match=r"data 'own_images:plain': expected ImageData, .*, got int"):
        load_data("own_images:plain")
    with pytest.raises(ValueError, match="data ':load'"):
        load_data(":load")
    with pytest.raises(ValueError, match="data 'own_images:'"):
        load_data("own_images:")


def test_the_digest_of_a_data_set_of_any_kind(returns: Callable[[Any], str]) -> None:
    """By its class, attributes and items, if these repeat."""

    def found(make: Callable[[int], Any]) -> str:
        part = Pictures(20, make)
        return replace(load_data("digits"), train=part, validation=part).digest

    still = [found(lambda i: torch.full((1, 6, 6), i / 20)) for _ in range(2)]
    brighter = found(lambda i: torch.full((1, 6, 6), i / 10))
    noisy = [found(lambda i: torch.rand(1, 6, 6)) for _ in range(2)]
    assert still[0] == still[1]
    assert noisy[0] == noisy[1], "augmentation of a user's own is no reason to pay again"
    assert len({still[0], brighter, noisy[0]}) == 3


# DataLoaders


def loader(n: int = 40, shape: tuple[int, ...] = (3, 6, 6), **options: Any) -> DataLoader[Any]:
    dataset = TensorDataset(torch.from_numpy(RNG.random((n, *shape), dtype=np.float32)), torch.arange(n) % 4)
    return DataLoader(dataset, batch_size=16, **options)


def test_loaders_give_their_images_as_they_are() -> None:
    train, validation, test = loader(shuffle=True), loader(12), loader(8)
    data = load_data((train, validation, test))
    for part, own in ((data.train, train), (data.validation, validation), (data.test, test)):
        assert part is own.dataset
    assert (data.num_classes, data.image_size, data.image_channels, len(data.class_names)) == (4, 6, 3, 4)
    assert not data.augmentation
    assert "as the loaders give them" in data.describe()


def test_what_loaders_leave_out_is_drawn_stratified_and_the_same_for_every_seed() -> None:
    train, test = loader(), loader(8)
    without_validation, without_test = load_data((train, test)), load_data({"train": train, "validation": test})
    assert [len(p) for p in (without_validation.train, without_validation.validation)] == [32, 8]  # type: ignore[arg-type]
    assert without_validation.test is test.dataset
    assert [len(p) for p in (without_test.validation, without_test.test)] == [4, 4]  # type: ignore[arg-type]
    assert without_test.train is train.dataset
    drawn = [load_data((train, test), seed=seed).validation for seed in (0, 1)]
    assert drawn[0].indices == drawn[1].indices  # type: ignore[attr-defined]
    assert sorted(int(label) for _, label in drawn[0]) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_samplers_tell_parts_of_one_data_set_apart() -> None:
    """Else natrl would train on what it chooses by."""
    dataset = loader(40).dataset
    parts = [range(24, 40), range(24)]
    validation, train = (DataLoader(dataset, sampler=SubsetRandomSampler(part)) for part in parts)
    data = load_data({"train": train, "validation": validation, "test": loader(8)})
    assert list(data.train.indices) == list(range(24))  # type: ignore[attr-defined]
    assert list(data.validation.indices) == list(range(24, 40))  # type: ignore[attr-defined]


class _Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield from ()


@pytest.mark.parametrize(
    ("loaders", "message"),
    [
        ((loader(), loader(8, (3, 6, 5))), r"must be square, \(C, H, W\), got \(3, 6, 5\) from the test loader"),
        ((loader(), DataLoader(_Stream())), "the test loader reads a stream"),
        ((loader(collate_fn=list), loader()), r"the train loader makes its batches by a function of its own"),
        (
            (loader(), loader(sampler=WeightedRandomSampler([1.0] * 40, 40))),
            r"the test loader draws its images in a way of its own \(WeightedRandomSampler\)",
        ),
        ((loader(), loader(sampler=RandomSampler(range(40), replacement=True))), "a way of its own"),
        ((loader(), DataLoader(loader().dataset, batch_sampler=[[0, 1], [2]])), r"a way of its own \(list\)"),
        (({"train": loader()}), "a training loader alone leaves nothing to choose by"),
        ((loader(), loader().dataset), "some parts are DataLoaders, and test is not"),
        (
            (loader(), DataLoader(TensorDataset(torch.zeros(4, 3, 6, 6).byte(), torch.arange(4)))),
            "tensors of torch.uint8",
        ),
        ((DataLoader(TensorDataset(torch.zeros(0, 3, 6, 6), torch.zeros(0))),) * 2, "data set is empty"),
    ],
)
def test_loaders_that_cannot_be_taken_are_refused(loaders: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_data(loaders)


def test_loaders_come_prepared() -> None:
    with pytest.raises(ValueError, match="comes prepared"):
        load_data((loader(), loader()), mean=0.5, std=0.5)
