"""Scores that have names, against sums by hand and independent loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn, Tensor
from torch.utils.data import TensorDataset

from natrl.digests import digest
from natrl.evaluation.scores import NamedScore, SCORES
from natrl.evaluation.scores.measured import MeasuredScore

NAMES = ("balanced_accuracy", "macro_f1", "multilabel_ap", "multilabel_f1", "r2", "mean_iou")


def measured(name: str, outputs: Tensor, labels: Tensor) -> float:
    """In two batches of another size."""
    halves = ((outputs[:2], labels[:2]), (outputs[2:], labels[2:]))
    return SCORES.get(name).metric(iter(halves))


def says(*classes: int) -> Tensor:
    """Logits that name these classes, of three."""
    return nn.functional.one_hot(torch.tensor(classes), 3) * 4.0


def test_names_and_a_miss() -> None:
    assert SCORES.names() == NAMES
    for name in NAMES:
        assert SCORES.get(name).name == name
    with pytest.raises(ValueError, match=r"unknown score 'f2'; known: balanced_accuracy, .* mean_iou, module:object"):
        SCORES.get("f2")
    with pytest.raises(ValueError, match=r"expected an object of .*NamedScore"):
        SCORES.get(len)


def test_classes_count_alike_however_many_they_are() -> None:
    """Recalls 3/4 and 1/2 and, of a class that is only named, none; F1 3/4, 1/2 and 0."""
    labels, outputs = torch.tensor([0, 0, 0, 0, 1, 1]), says(0, 0, 0, 1, 1, 2)
    assert measured("balanced_accuracy", outputs, labels) == pytest.approx((3 / 4 + 1 / 2) / 2)
    f1 = (2 * 3 / (2 * 3 + 0 + 1), 2 * 1 / (2 * 1 + 1 + 1), 0.0)
    assert measured("macro_f1", outputs, labels) == pytest.approx(sum(f1) / 3)


def test_several_labels() -> None:
    """A label that no example has is left out of the average precision, and none of the F1's."""
    labels = torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    logits = torch.tensor([[2.0, -1, -1], [1, 3, -1], [-1, 2, -1], [-2, -3, -1]])
    # label 0: ranked 1, 0, 1, 0 → (1 + 2/3) / 2; label 1: 1, 1, 0, 0 → 1
    assert measured("multilabel_ap", logits, labels) == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    assert measured("multilabel_f1", logits, labels) == pytest.approx((2 / (2 + 1 + 1) + 1 + 0) / 3)
    with pytest.raises(ValueError, match="no example has any label"):
        measured("multilabel_ap", logits, 0 * labels)


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 2)])
def test_numbers(shape: tuple[int, ...]) -> None:
    random = torch.Generator().manual_seed(0)
    labels, outputs = torch.randn(shape, generator=random), torch.randn(shape, generator=random)
    columns, found = labels.reshape(5, -1), outputs.reshape(5, -1)
    by_hand = 1 - (columns - found).square().sum(0) / (columns - columns.mean(0)).square().sum(0)
    assert measured("r2", outputs.reshape(5, -1), labels) == pytest.approx(by_hand.mean().item(), rel=1e-5)
    assert measured("r2", labels, labels) == 1


def test_pixels_by_a_loop_over_sets() -> None:
    """Of five classes one is nowhere, one only named; some pixels do not count."""
    random = np.random.default_rng(0)
    labels, said = random.integers(0, 3, (3, 6, 7)), random.integers(0, 4, (3, 6, 7))
    labels[random.random(labels.shape) < 0.2] = 255
    logits = nn.functional.one_hot(torch.tensor(said), 5).movedim(-1, 1).float()
    places = [p for p in np.ndindex(labels.shape) if labels[p] != 255]
    shares = []
    for kind in range(4):
        are, named = ({p for p in places if values[p] == kind} for values in (labels, said))
        shares.append(len(are & named) / len(are | named))
    assert measured("mean_iou", logits, torch.tensor(labels)) == pytest.approx(np.mean(shares))
    with pytest.raises(ValueError, match="no pixel counts"):
        measured("mean_iou", logits, torch.full((3, 6, 7), 255))
    with pytest.raises(ValueError, match="a pixel is of class 9, and the network knows 5"):
        measured("mean_iou", logits, torch.full((3, 6, 7), 9))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_finite_is_no_score(name: str) -> None:
    labels = {"several": torch.eye(3), "numbers": torch.zeros(3, 3), "pixels": torch.zeros(3, 2, 2, dtype=torch.int64)}
    shape = (3, 3, 2, 2) if SCORES.get(name).labels == "pixels" else (3, 3)
    with pytest.raises(ValueError, match=r"not finite|NaN"):
        measured(name, torch.full(shape, math.nan), labels.get(SCORES.get(name).labels, torch.arange(3)))


def test_losses_by_hand() -> None:
    logits, labels = torch.tensor([[0.0, 0.0], [0.0, 0.0], [math.log(3), 0.0]]), torch.tensor([0, 1, 0])
    weights = torch.tensor([1.0, 3.0])
    by_hand = (1 * math.log(2) + 3 * math.log(2) + 1 * math.log(4 / 3)) / 5
    assert SCORES.get("macro_f1").loss(logits, labels, weights=weights).item() == pytest.approx(by_hand)
    pixels = torch.tensor([[[0, 255]]])
    plane = torch.tensor([[[[0.0, 9.0]], [[0.0, -9.0]]]])
    assert SCORES.get("mean_iou").loss(plane, pixels, weights=None).item() == pytest.approx(math.log(2))
    numbers = SCORES.get("r2").loss(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0]), weights=None)
    assert numbers.item() == pytest.approx(2)
    several = SCORES.get("multilabel_ap").loss(torch.zeros(2, 3), torch.eye(3)[:2], weights=None)
    assert several.item() == pytest.approx(math.log(2))


def test_classes_weigh_by_inverse_frequency_or_as_given() -> None:
    balanced, plain, numbers = (SCORES.get(name) for name in ("balanced_accuracy", "mean_iou", "r2"))
    labels = np.array([0, 0, 0, 1])
    assert balanced.weights(labels, 3, ()) == pytest.approx((4 / 9, 4 / 3, 0))
    assert balanced.weights(labels, 3, (1.0, 2.0, 0.0)) == (1, 2, 0)
    assert plain.weights(labels, 3, ()) == numbers.weights(labels, 0, ()) == ()
    with pytest.raises(ValueError, match="class_weights: 2 for 3 classes"):
        balanced.weights(labels, 3, (1.0, 2.0))
    with pytest.raises(ValueError, match="the loss of score 'r2' knows no classes"):
        numbers.weights(labels, 0, (1.0,))


def test_a_record_of_ones_own() -> None:
    def first(batches: object) -> float:
        return 1.0

    with pytest.raises(ValueError, match="unknown kind of labels 'boxes'; known: classes, several, numbers, pixels"):
        NamedScore("mine", "boxes", first, nn.functional.mse_loss)
    with pytest.raises(ValueError, match="labels of kind 'pixels' cannot be balanced"):
        NamedScore("mine", "pixels", first, nn.functional.cross_entropy, balanced=True)


class Dict(nn.Module):
    """A segmentation network as torchvision's give their outputs."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"aux": images, "out": torch.cat([images, 1 - images], 1)}


def test_a_score_of_a_network_on_data() -> None:
    images = (torch.arange(70 * 4).reshape(70, 1, 2, 2) % 3 == 0).float()
    labels = (1 - images[:, 0]).long()
    score = MeasuredScore(SCORES.get("mean_iou"), TensorDataset(images, labels))
    assert (score.__name__, score(Dict())) == ("mean_iou", 1.0)
    wrong = MeasuredScore(SCORES.get("mean_iou"), TensorDataset(images, 1 - labels))
    assert wrong(Dict()) == 0
    assert digest(score) != digest(wrong)
    assert digest(score) == digest(MeasuredScore(SCORES.get("mean_iou"), TensorDataset(images.clone(), labels)))
