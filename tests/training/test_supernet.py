"""Which architectures train the supernet, with which learning rates, and that training repeats and goes on exactly."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from natrl import Skeleton
from natrl import space as find_space
from natrl.data import Augmentation, ImageData, load_data
from natrl.networks import CellSupernet
from natrl.spaces import SPACES
from natrl.training.sampling import ArchitectureSampler
from natrl.training.supernet import SupernetTrainer
from natrl.training.weight_settings import FAIR, PAPER, WeightSettings

SMALL = Skeleton(channels=2, cells=2, image_size=8, image_channels=1)


def noise(n: int = 40) -> ImageData:
    generator = torch.Generator().manual_seed(0)
    split = TensorDataset(torch.randn(n, 1, 8, 8, generator=generator), torch.arange(n) % 10)
    return ImageData("noise", split, split, split, 10, 8, 1, tuple("0123456789"), augmentation=Augmentation(padding=1))


def make_trainer(settings: WeightSettings = FAIR, space: str = "darts", seed: int = 0) -> SupernetTrainer:
    torch.manual_seed(seed)
    supernet = CellSupernet(find_space(space), SMALL)
    return SupernetTrainer(supernet, noise(), replace(settings, batch_size=16), total_steps=20, seed=seed)


def weights_of(trainer: SupernetTrainer) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in trainer.supernet.state_dict().items()}


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", ["darts", "enas", "nao"])
def test_every_slot_meets_every_primitive_once_a_round(name: str):
    space = find_space(name)
    sampler = ArchitectureSampler(space, fair=True, seed=1)
    for _ in range(3):
        drawn = [sampler.draw() for _ in space.primitives]
        assert all(architecture.is_live for architecture in drawn)
        for slot in zip(*(architecture.operations for architecture in drawn), strict=True):
            assert sorted(slot) == sorted(space.primitives)
    topologies = {len(space.sample(np.random.default_rng(i)).cells[0].outputs) for i in range(20)}
    assert 1 in topologies  # chains
    assert len(topologies) > 1


def test_dead_draws_are_passed_over():
    """NAS-Bench-201 has one topology: where a draw is dead nothing else can be tried."""
    space = find_space("nasbench201")
    sampler = ArchitectureSampler(space, fair=True, seed=0)
    drawn = [sampler.draw() for _ in range(400)]
    assert all(architecture.is_live for architecture in drawn)
    counts = Counter(architecture.operations[0] for architecture in drawn)
    assert min(counts.values()) > 0.7 * max(counts.values())


@pytest.mark.parametrize("name", SPACES.names())
def test_independent_draws_are_the_spaces(name: str):
    space = find_space(name)
    sampler, rng = ArchitectureSampler(space, fair=False, seed=3), np.random.default_rng(3)
    assert [sampler.draw() for _ in range(5)] == [space.sample(rng) for _ in range(5)]


@pytest.mark.parametrize("fair", [True, False])
def test_sampler_goes_on_from_its_state(fair: bool):
    sampler = ArchitectureSampler(find_space("darts"), fair=fair, seed=0)
    for _ in range(5):
        sampler.draw()
    state = sampler.state_dict()
    wanted = [sampler.draw() for _ in range(20)]
    restored = ArchitectureSampler(find_space("darts"), fair=fair, seed=9)
    restored.load_state_dict(state)
    assert [restored.draw() for _ in range(20)] == wanted


def test_learning_rate():
    rates = [FAIR.rate(step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(5e-3 / 50)
    assert max(rates) == rates[50] == 5e-3
    assert all(a > b for a, b in pairwise(rates[50:]))
    assert rates[-1] == pytest.approx(5e-5)
    assert FAIR.rate(5000, 1000) == pytest.approx(5e-5)
    assert {PAPER.rate(step, 1000) for step in (0, 500, 2000)} == {0.01}


def test_training_lowers_the_cross_entropy():
    """60 steps on digits (about 1 s): random architectures get better than guessing (ln 10 = 2.30)."""
    data = load_data("digits")
    torch.manual_seed(0)
    supernet = CellSupernet(find_space("nasbench201"), Skeleton(channels=8, cells=3, image_size=8, image_channels=1))
    trainer = SupernetTrainer(supernet, data, total_steps=60, seed=0)
    rng = np.random.default_rng(0)
    architectures = [supernet.space.sample(rng) for _ in range(10)]
    images, labels = data.validation[:200]

    def entropy() -> float:
        with torch.inference_mode():
            logits = [supernet(images, a) for a in architectures]
        return float(np.mean([torch.nn.functional.cross_entropy(x, labels).item() for x in logits]))

    before = entropy()
    metrics = trainer.train(60)
    assert entropy() < 1.9 < 2.2 < before
    assert metrics["loss"] < 2.2
    assert metrics["steps"] == 60
    assert metrics["learning_rate"] == pytest.approx(5e-5)


@pytest.mark.parametrize("settings", [FAIR, PAPER])
def test_training_twice_gives_the_same(settings: WeightSettings):
    one, other = make_trainer(settings), make_trainer(settings)
    before = weights_of(one)
    assert one.train(4) == other.train(4)
    assert_equal(weights_of(one), weights_of(other))
    assert any(not torch.equal(before[name], weight) for name, weight in weights_of(one).items())
    assert_equal(before, weights_of(make_trainer(settings)))


@pytest.mark.parametrize("settings", [FAIR, PAPER])
@pytest.mark.parametrize("first", [1, 2, 3])
def test_training_goes_on_exactly(settings: WeightSettings, first: int):
    """In the middle of an epoch (2 steps long) and at its end, in one go, in pieces and from a restored state."""
    whole, pieces = make_trainer(settings), make_trainer(settings)
    whole.train(5)
    pieces.train(first)
    state, weights = pieces.state_dict(), weights_of(pieces)
    pieces.train(5 - first)
    assert_equal(weights_of(whole), weights_of(pieces))
    restored = make_trainer(settings, seed=0)
    restored.supernet.load_state_dict(weights)
    restored.load_state_dict(state)  # not touched by the steps made since
    restored.train(5 - first)
    assert_equal(weights_of(whole), weights_of(restored))


def test_papers_settings():
    """NAT++: one uniformly sampled architecture a step, SGD lr 0.01, momentum 0.9, weight decay 3e-4, batch 64."""
    trainer = make_trainer(PAPER)
    (group,) = trainer._optimizer.param_groups
    assert isinstance(trainer._optimizer, torch.optim.SGD)
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.01, 0.9, 3e-4)
    assert (PAPER.batch_size, PAPER.fair) == (64, False)


def test_few_images_make_one_batch():
    trainer = SupernetTrainer(make_trainer().supernet, noise(10), total_steps=3)
    assert trainer.train(3)["steps"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"total_steps": 0}, "total_steps must be at least 1, got 0"),
        ({"total_steps": 5, "data": noise(0)}, "data 'noise' has no training images"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        SupernetTrainer(make_trainer().supernet, **({"data": noise()} | options))


def test_a_loss_that_is_not_finite_is_an_error():
    trainer = make_trainer(replace(FAIR, learning_rate=1e30, warmup=0.0, clip=1e30))
    with pytest.raises(ValueError, match=r"the supernet's loss is (nan|inf) after 10 steps; lower the learning rate"):
        trainer.train(10)
