"""The evaluator that trains from scratch: means over seeds, validation only, light to send."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from natrl import parse, Skeleton
from natrl.data import ImageData, load_data
from natrl.evaluation.scratch import ScratchEvaluator
from natrl.training.fitting import train_network
from natrl.training.schedule import Schedule, schedule

SKELETON = Skeleton(channels=2, cells=3, image_size=8, image_channels=1, num_classes=10)
SHORT = Schedule(epochs=1, batch_size=64, optimizer="adamw", learning_rate=2e-2)


class Forbidden:
    def __len__(self) -> int:
        raise AssertionError("the test split was read")

    __getitem__ = __iter__ = __len__  # type: ignore[assignment]


def noise(n: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(n)
    return TensorDataset(torch.randn(n, 1, 8, 8, generator=generator), torch.arange(n) % 10)


def without_test() -> ImageData:
    test: Any = Forbidden()
    return ImageData("noise", noise(70), noise(50), test, 10, 8, 1, tuple("0123456789"))


def test_scores_are_means_over_seeds_on_the_validation_split() -> None:
    data, names = without_test(), ("VGG", "ResBlock")
    scores = ScratchEvaluator(SKELETON, data, SHORT, seeds=(3, 5)).evaluate([parse(name) for name in names])
    assert scores.dtype == np.float64
    for name, score in zip(names, scores, strict=True):
        results = [train_network(SKELETON, parse(name), data, SHORT, seed=seed) for seed in (3, 5)]
        assert score == np.mean([r.validation_accuracy for r in results])


def test_cross_entropy_is_negated() -> None:
    data = without_test()
    (score,) = ScratchEvaluator(SKELETON, data, SHORT, metric="cross_entropy").evaluate([parse("VGG")])
    assert score == -train_network(SKELETON, parse("VGG"), data, SHORT, seed=0).validation_cross_entropy
    assert score < 0


def test_no_architectures_no_scores() -> None:
    assert ScratchEvaluator(SKELETON, without_test()).evaluate([]).shape == (0,)


def test_data_by_name_and_in_another_process() -> None:
    evaluator = ScratchEvaluator(SKELETON, "digits", SHORT, data_seed=4)
    assert torch.equal(evaluator.data.train.tensors[0], load_data("digits", seed=4).train.tensors[0])
    received = pickle.loads(pickle.dumps(evaluator))
    assert np.array_equal(received.evaluate([parse("VGG")]), evaluator.evaluate([parse("VGG")]))


def test_networks_take_the_images_that_there_are() -> None:
    small = ScratchEvaluator(Skeleton(channels=2, cells=3), load_data("digits", image_size=4), SHORT)
    assert small.settings()["skeleton"]["image_size"] == 4
    assert 0 <= small.evaluate([parse("VGG")])[0] <= 1


def test_quick_is_the_default_schedule() -> None:
    assert ScratchEvaluator(SKELETON, "digits").schedule == schedule("quick")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metric": "f1"}, "unknown metric 'f1'; known: accuracy, cross_entropy"),
        ({"schedule": "slow"}, "unknown schedule 'slow'; known: paper, quick"),
        ({"seeds": ()}, r"seeds must be one or more different whole numbers, at least 0, got \[\]"),
        ({"seeds": (1, 1)}, "seeds must be one or more different"),
        ({"seeds": (-1,)}, "seeds must be one or more different"),
    ],
)
def test_bad_settings_are_refused_at_once(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScratchEvaluator(SKELETON, "digits", **settings)


def test_a_diverging_training_names_its_architecture() -> None:
    wild = Schedule(epochs=3, batch_size=16, learning_rate=1e30, clip=0)
    with pytest.raises(ValueError, match=r"architecture .*conv_3x3.*: the loss is"):
        ScratchEvaluator(SKELETON, without_test(), wild).evaluate([parse("VGG")])
