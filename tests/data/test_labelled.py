"""Data whose labels are no classes of images."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn, Tensor
from torch.utils.data import DataLoader, Dataset, SubsetRandomSampler, TensorDataset, WeightedRandomSampler

from natrl.data import Examples, load_data
from natrl.data.labelled import load_examples
from natrl.data.labels import labels_of
from natrl.data.targets import TARGETS, targets

INPUTS = torch.arange(40 * 3 * 4 * 5.0).reshape(40, 3, 4, 5)  # not square
LABELS = {
    "several": torch.eye(4, dtype=torch.int64).repeat(10, 1),
    "numbers": torch.arange(40, dtype=torch.float64),
    "pixels": torch.arange(40 * 4 * 5).reshape(40, 4, 5) % 3,
}


class Lazy(Dataset[Any]):
    """Items that are read one by one, numbers as Python's."""

    def __init__(self, n: int = 40) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[Tensor, float]:
        return torch.full((3, 4, 5), float(index)), index / 2


class Whole(Lazy):
    def __getitem__(self, index: int) -> tuple[Tensor, int]:  # type: ignore[override]
        return torch.zeros(3, 4, 5), index % 3


@pytest.mark.parametrize("kind", LABELS)
def test_one_part_is_divided(kind: str) -> None:
    """Test examples are the same whatever the seed; the three parts hold everything once."""
    pair = (INPUTS.numpy(), LABELS[kind].numpy())
    data, other = (load_examples(pair, targets(kind), seed=seed) for seed in (0, 1))
    sizes = [len(part) for part in (data.train, data.validation, data.test)]
    assert sizes == [24, 8, 8]
    first = torch.cat([part.tensors[0][:, 0, 0, 0] for part in (data.train, data.validation, data.test)])
    assert sorted((first / 60).tolist()) == list(range(40))
    assert torch.equal(data.test.tensors[0], other.test.tensors[0])
    assert not torch.equal(data.validation.tensors[0], other.validation.tensors[0])
    for name, part in (("validation", data.validation), ("test", data.test)):
        assert torch.equal(part.tensors[0], INPUTS[data.indices[name]])
        assert torch.equal(part.tensors[1], LABELS[kind][data.indices[name]].to(part.tensors[1].dtype))
    assert data.train.tensors[1].dtype == (torch.int64 if kind == "pixels" else torch.float32)
    assert "24 training examples, 8 validation examples (drawn by seed 0" in data.describe()


def test_parts_that_come_apart_stay_apart() -> None:
    part = TensorDataset(INPUTS, LABELS["numbers"])
    three = load_examples((part, part, part), targets("numbers"))
    assert [len(three.train), len(three.validation), len(three.test)] == [40, 40, 40]
    pairs = load_examples(((INPUTS, LABELS["numbers"]),) * 3, targets("numbers"))
    assert pairs.digest == replace(three, name="another").digest
    two = load_examples({"train": (INPUTS, LABELS["numbers"]), "validation": part}, targets("numbers"))
    assert [len(two.train), len(two.validation), len(two.test)] == [40, 20, 20]
    assert set(two.indices["validation"]) | set(two.indices["test"]) == set(range(40))
    tested = load_examples((part, part), targets("numbers"), seed=3)
    assert [len(tested.train), len(tested.validation), len(tested.test)] == [32, 8, 40]
    assert tested.origins["validation"].startswith("drawn by seed 3 from the training part")


def test_loaders_of_what_is_read_one_by_one() -> None:
    loader = DataLoader(Lazy(), batch_size=7, sampler=SubsetRandomSampler(range(30)))
    held = DataLoader(Lazy(10))
    data = load_examples((loader, held, held), targets("numbers"))
    assert (len(data.train), len(data.validation)) == (30, 10)
    given, label = data.train[4]
    assert (given.dtype, label.dtype, label.item()) == (torch.float32, torch.float32, 2.0)
    assert labels_of(load_examples((Whole(4),) * 3, targets("classes")).train).tolist() == [0, 1, 2, 0]
    again = pickle.loads(pickle.dumps(data))
    assert again.digest == data.digest != load_examples((loader, loader, held), targets("numbers")).digest


def test_ready_made_examples_are_taken() -> None:
    part = TensorDataset(INPUTS, LABELS["numbers"].float())
    data = Examples("mine", part, part, part)
    assert load_examples(data, targets("numbers")) is data
    with pytest.raises(ValueError, match="labels must be 0 or 1 for each of L ≥ 2 labels"):
        load_examples(data, targets("several"))
    with pytest.raises(ValueError, match=r"expected ImageData, .* got Examples"):
        load_data(data)


OTHERS = {
    "several": [torch.ones(40), 2 * torch.ones(40, 3), torch.ones(40, 1)],
    "numbers": [torch.arange(40), torch.full((40,), torch.nan), torch.rand(40, 2, 2)],
    "pixels": [torch.rand(40, 4, 5), torch.arange(40), torch.full((40, 4, 5), -1)],
    "classes": [torch.rand(40), torch.full((40,), -1), torch.ones(40, 2, dtype=torch.int64)],
}


@pytest.mark.parametrize(("kind", "labels"), [(kind, labels) for kind, some in OTHERS.items() for labels in some])
def test_labels_of_another_kind(kind: str, labels: Tensor) -> None:
    with pytest.raises(
        ValueError, match=r"data 'own data': labels must be .*; they are (float32|int64) \(40,"
    ) as caught:
        load_examples((INPUTS, labels), targets(kind))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("digits", "data 'digits': its labels are a class for each image"),
        ((INPUTS, LABELS["numbers"][:9]), "40 inputs need as many labels, got 9"),
        ((INPUTS.byte(), LABELS["numbers"]), "inputs are of 8 bits"),
        ((INPUTS[:2], LABELS["numbers"][:2]), "too few examples"),
        ((Lazy(0), Lazy(0)), "a data set is empty"),
        ({"train": DataLoader(Lazy())}, "leaves nothing to choose by"),
        ((DataLoader(Lazy(), sampler=WeightedRandomSampler([1.0] * 40, 40)), DataLoader(Lazy())), "a way of its own"),
        (3, "expected ImageData"),
        ("nowhere", "unknown data 'nowhere'"),
    ],
)
def test_what_cannot_be_data(data: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_examples(data, targets("numbers"))


def test_classes_are_no_numbers_by_rounding() -> None:
    """Without a score for them, numbers were taken for classes."""
    part = TensorDataset(torch.rand(8, 1, 4, 4), torch.rand(8))
    with pytest.raises(ValueError, match=r"labels must be a class for each image, .* got float32 \(8,\)"):
        load_data((part, part))


@pytest.mark.parametrize(
    ("kind", "outputs", "labels", "fits"),
    [
        ("classes", (4, 3), torch.tensor([0, 1, 2, 2]), True),
        ("classes", (4, 3), torch.tensor([0, 1, 2, 3]), False),
        ("classes", (4,), torch.tensor([0, 0, 0, 0]), False),
        ("several", (4, 3), torch.ones(4, 3), True),
        ("several", (4, 4), torch.ones(4, 3), False),
        ("numbers", (4,), torch.ones(4), True),
        ("numbers", (4, 1), torch.ones(4), True),
        ("numbers", (4,), torch.ones(4, 1), True),
        ("numbers", (4, 4), torch.ones(4), False),
        ("numbers", (4, 2), torch.ones(4, 2), True),
        ("pixels", (4, 3, 2, 5), torch.full((4, 2, 5), 2), True),
        ("pixels", (4, 3, 2, 5), torch.full((4, 2, 5), 255), True),
        ("pixels", (4, 3, 1, 5), torch.full((4, 2, 5), 2), False),
        ("pixels", (4, 2, 2, 5), torch.full((4, 2, 5), 2), False),
    ],
)
def test_outputs_that_answer_labels(kind: str, outputs: tuple[int, ...], labels: Tensor, fits: bool) -> None:
    if fits:
        targets(kind).check(torch.zeros(outputs), labels, "Network")
        return
    with pytest.raises(ValueError, match=r"Network must give .* it gives shape"):
        targets(kind).check(torch.zeros(outputs), labels, "Network")


def test_outputs_that_are_no_tensor() -> None:
    assert set(TARGETS) == {"classes", "several", "numbers", "pixels"}
    with pytest.raises(ValueError, match="it gives dict for labels"):
        targets("numbers").check({"boxes": nn.Identity()}, torch.ones(2), "Network")
    with pytest.raises(ValueError, match=r"it gives tensors of torch\.int64"):
        targets("numbers").check(torch.ones(2, dtype=torch.int64), torch.ones(2), "Network")
    with pytest.raises(ValueError, match="unknown kind of labels 'boxes'"):
        targets("boxes")
