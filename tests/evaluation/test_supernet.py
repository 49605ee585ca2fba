"""The supernet evaluator: what its scores are, and how its weights and state travel."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from natrl import Skeleton, zoo
from natrl import space as find_space
from natrl.data import ImageData, load_data
from natrl.evaluation.supernet import SupernetEvaluator
from natrl.training.weight_settings import PAPER

SMALL = Skeleton(channels=2, cells=2, image_size=8, image_channels=1)
NAMED = [zoo()[name] for name in ("VGG", "DARTS", "ResBlock")]


class Untouchable(TensorDataset):
    """A split that must not be read."""

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        raise AssertionError("the test split was read")


def noise() -> ImageData:
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(90, 1, 8, 8, generator=generator), torch.arange(90) % 10
    splits = TensorDataset(images[:40], labels[:40]), TensorDataset(images[40:], labels[40:])
    return ImageData("noise", *splits, Untouchable(images, labels), 10, 8, 1, tuple("0123456789"))


def make_evaluator(**options: Any) -> SupernetEvaluator:
    return SupernetEvaluator(find_space("darts").on(SMALL), **({"data": noise(), "total_steps": 10} | options))


def test_scores_by_hand():
    """All 50 validation images in one batch; the statistics are the batch's."""
    accuracy, entropy = make_evaluator(), make_evaluator(metric="cross_entropy")
    images, labels = noise().validation.tensors  # type: ignore[attr-defined]
    for name, architecture in zip(("VGG", "DARTS", "ResBlock"), NAMED, strict=True):
        with torch.inference_mode():
            logits = accuracy.supernet(images, architecture).double()
        assert accuracy.evaluate([architecture])[0] == (logits.argmax(1) == labels).double().mean(), name
        wanted = torch.log_softmax(logits, 1)[torch.arange(50), labels].mean().item()
        assert entropy.evaluate([architecture])[0] == pytest.approx(wanted, rel=1e-5)
    scores = accuracy.evaluate(NAMED)
    assert scores.dtype == np.float64
    assert np.array_equal(scores, [accuracy.evaluate([a])[0] for a in NAMED])
    assert np.array_equal(accuracy.evaluate(NAMED[::-1]), scores[::-1])
    assert accuracy.evaluate([]).shape == (0,)


def test_scores_follow_the_weights():
    """Nothing that was computed with older weights is used again."""
    evaluator = make_evaluator(metric="cross_entropy")
    evaluator.evaluate(NAMED)
    evaluator.train_weights(2)
    fresh = make_evaluator(metric="cross_entropy")
    fresh.set_weights(evaluator.get_weights(), 1)
    scores = evaluator.evaluate(NAMED)
    assert np.array_equal(scores, fresh.evaluate(NAMED))
    state = evaluator.state_dict()
    evaluator.train_weights(2)
    assert not np.array_equal(evaluator.evaluate(NAMED), scores)
    evaluator.load_state_dict(state)
    assert np.array_equal(evaluator.evaluate(NAMED), scores)
    evaluator.set_weights(make_evaluator().get_weights(), 0)
    assert np.array_equal(evaluator.evaluate(NAMED), make_evaluator(metric="cross_entropy").evaluate(NAMED))


def test_a_part_of_the_validation_split():
    """The same images at every call, other ones with another seed."""
    one, same, other = (make_evaluator(score_images=20, seed=seed) for seed in (0, 0, 1))
    assert len(one._labels) == 20
    assert torch.equal(one._images, same._images)
    assert not torch.equal(one._images, other._images)


def test_bfloat16_is_near():
    exact, rounded = make_evaluator(metric="cross_entropy"), make_evaluator(metric="cross_entropy", bf16=True)
    difference = np.abs(exact.evaluate(NAMED) - rounded.evaluate(NAMED))
    assert 0 < difference.max() < 0.1


def test_weights_travel():
    """To an evaluator that has other weights; arrays that come through Ray's object store are read-only."""
    trained, other = make_evaluator(metric="cross_entropy"), make_evaluator(metric="cross_entropy")
    metrics = trained.train_weights(3)
    assert set(metrics) == {"loss", "learning_rate", "steps"}
    assert (trained.version, other.version) == (1, 0)
    assert not np.array_equal(trained.evaluate(NAMED), other.evaluate(NAMED))
    weights = trained.get_weights()
    for array in weights.values():
        assert isinstance(array, np.ndarray)
        array.setflags(write=False)
    before = trained.evaluate(NAMED)
    other.set_weights(weights, 1)
    assert other.version == 1
    assert np.array_equal(other.evaluate(NAMED), before)
    other.train_weights(1)  # on a copy of the arrays
    assert np.array_equal(trained.evaluate(NAMED), before)


def test_goes_on_from_its_state():
    whole, restored = make_evaluator(), make_evaluator(seed=0)
    whole.train_weights(3)
    state = pickle.loads(pickle.dumps(whole.state_dict()))
    whole.train_weights(3)
    restored.load_state_dict(state)
    assert restored.version == 1
    restored.train_weights(3)
    assert restored.version == whole.version == 2
    ours, theirs = whole.get_weights(), restored.get_weights()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_an_untrained_state_restores_an_untrained_evaluator():
    evaluator, fresh = make_evaluator(), make_evaluator()
    evaluator.train_weights(2)
    evaluator.load_state_dict(fresh.state_dict())
    assert evaluator.version == 0
    assert evaluator.train_weights(2) == fresh.train_weights(2)


def test_other_spaces_settings_and_data_by_name():
    skeleton = Skeleton(channels=2, cells=3, image_size=8, image_channels=1)
    evaluator = SupernetEvaluator(
        find_space("nasbench201").on(skeleton), load_data("digits", seed=4), settings=PAPER, total_steps=5
    )
    assert torch.equal(evaluator.data.train.tensors[0], load_data("digits", seed=4).train.tensors[0])
    assert evaluator.train_weights(2)["learning_rate"] == 0.01
    architecture = evaluator.supernet.space.sample(np.random.default_rng(0))
    assert 0 <= evaluator.evaluate([architecture])[0] <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "loss"}, "unknown metric 'loss'; known: accuracy, cross_entropy"),
        ({"score_images": 0}, "score_images must be .*at least 1"),
        ({"data": "imaginary"}, "unknown data 'imaginary'"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        make_evaluator(**options)


def test_misfits():
    fitted = SupernetEvaluator(find_space("darts").on(Skeleton(2, 2, image_size=16, num_classes=7)), noise())
    assert fitted.space.skeleton == SMALL, "networks take the images that there are"
    with pytest.raises(ValueError, match="space 'darts' has 16 slots, this architecture has 20"):
        make_evaluator().evaluate([zoo()["ENAS"]])
