"""Training from scratch: schedules, the loop against one written by hand, repetition, and the untouched test split."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn, Tensor
from torch.utils.data import TensorDataset

from natrl import network_cost, parse, Skeleton
from natrl.data import Augmentation, ImageData, load_data
from natrl.networks.network import build_network
from natrl.training.fitting import fit, measure, train_network
from natrl.training.schedule import Schedule, schedule, SCHEDULES

SKELETON = Skeleton(channels=4, cells=3, image_size=8, image_channels=1, num_classes=3)
NASBENCH201 = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
SHORT = Schedule(epochs=2, batch_size=16, optimizer="adamw", learning_rate=1e-2, warmup=0.1)


def bright_corners(n: int, seed: int) -> TensorDataset:
    """Noise in which one of three corners is bright: the class."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 1, 8, 8, generator=generator)
    labels = torch.arange(n) % 3
    for label, (row, column) in enumerate([(0, 0), (0, 5), (5, 0)]):
        images[labels == label, :, row : row + 3, column : column + 3] += 2
    return TensorDataset(images, labels)


DATA = ImageData(
    "corners", bright_corners(64, 0), bright_corners(30, 1), bright_corners(30, 2), 3, 8, 1, ("a", "b", "c")
)


class WithoutTest(ImageData):
    """Image data whose test split must not be read."""

    def __getattribute__(self, name: str) -> Any:
        if name == "test":
            raise AssertionError("the test split was read")
        return super().__getattribute__(name)


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 3))


class Recorder(nn.Module):
    """A linear classifier that notes the images of each step and what `drop_path` was."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 3)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.drop_path = 0.0
        self.images: list[Tensor] = []
        self.drop_paths: list[float] = []

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.images.append(images.clone())
            self.drop_paths.append(self.drop_path)
        return self.linear(images.flatten(1))


# Schedules


def test_paper_is_the_published_schedule() -> None:
    paper = schedule("paper")
    assert (paper.epochs, paper.batch_size, paper.optimizer, paper.momentum) == (600, 96, "sgd", 0.9)
    assert (paper.weight_decay, paper.drop_path, paper.cutout, paper.auxiliary, paper.clip) == (3e-4, 0.2, 16, 0.4, 5)
    assert paper.rate(0, 1000) == 0.025
    assert paper.rate(999, 1000) == pytest.approx(0.001)
    assert paper.rate(500, 1001) == pytest.approx((0.025 + 0.001) / 2)


def test_rates_rise_in_the_warm_up_and_fall_along_a_cosine() -> None:
    s = Schedule(epochs=1, batch_size=1, learning_rate=2.0, final_learning_rate=1.0, warmup=0.2)
    rates = [s.rate(step, 100) for step in range(100)]
    assert rates[:20] == pytest.approx([2.0 * (i + 1) / 20 for i in range(20)])
    assert rates[20:] == pytest.approx([1 + (1 + math.cos(math.pi * i / 79)) / 2 for i in range(80)])
    assert Schedule(epochs=1, batch_size=1, learning_rate=2.0).rate(0, 1) == 2.0


def test_schedules_by_name() -> None:
    assert SCHEDULES.names() == ("paper", "quick")
    assert schedule(SHORT) is SHORT
    with pytest.raises(ValueError, match="unknown schedule 'slow'; known: paper, quick"):
        schedule("slow")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number, got 2.5"),
        ({"optimizer": "adam"}, "optimizer must be one of sgd, adamw, got 'adam'"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"learning_rate": math.nan}, "learning_rate must be above 0, got nan"),
        (
            {"learning_rate": 0.1, "final_learning_rate": 0.2},
            "final_learning_rate must be at most learning_rate",
        ),
        ({"warmup": 1.0}, "warmup must be in"),
        ({"momentum": -0.1}, "momentum must be in"),
        ({"drop_path": 1.0}, "drop_path must be in"),
        ({"label_smoothing": math.nan}, "label_smoothing must be in"),
        ({"weight_decay": -1}, "weight_decay must be at least 0"),
        ({"clip": math.inf}, "clip must be at most 1,000,000, got inf"),
        ({"auxiliary": -0.4}, "auxiliary must be at least 0"),
        ({"cutout": -1}, "cutout must be at least 0"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"schedule: {message}"):
        Schedule(**{"epochs": 1, "batch_size": 1, **settings})


# The loop


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_steps_equal_those_of_a_hand_written_loop(smoothing: float) -> None:
    """SGD with momentum, weight decay, warm-up, clipping and smoothing on a linear network, gradients by hand."""
    s = Schedule(
        epochs=3, batch_size=16, learning_rate=0.3, warmup=0.25, weight_decay=0.01, clip=0.4, label_smoothing=smoothing
    )
    network = Recorder()
    fit(network, DATA, s, seed=5)
    labels_of = {image.numpy().tobytes(): int(label) for image, label in DATA.train}
    weight, velocity = torch.zeros(3, 65), torch.zeros(3, 65)
    assert len(network.images) == 12
    clipped = 0
    for step, images in enumerate(network.images):
        x = torch.cat([images.flatten(1), torch.ones(16, 1)], 1)
        labels = torch.tensor([labels_of[image.contiguous().numpy().tobytes()] for image in images])
        target = nn.functional.one_hot(labels, 3) * (1 - smoothing) + smoothing / 3
        gradient = ((x @ weight.T).softmax(1) - target).T @ x / 16
        norm = float(gradient.norm())
        clipped += norm > 0.4
        gradient = gradient * min(1.0, 0.4 / norm) + 0.01 * weight
        velocity = 0.9 * velocity + gradient
        rate = 0.3 * (step + 1) / 3 if step < 3 else 0.3 * (1 + math.cos(math.pi * (step - 3) / 8)) / 2
        weight = weight - rate * velocity
    assert 0 < clipped < 12, "clipping must be seen at work, and not everywhere"
    torch.testing.assert_close(network.linear.weight.data, weight[:, :64], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(network.linear.bias.data, weight[:, 64], atol=1e-5, rtol=1e-4)


def test_every_epoch_shows_other_batches_of_all_images() -> None:
    network = Recorder()
    fit(network, DATA, SHORT, seed=0)
    first, second = (torch.cat(network.images[start : start + 4]) for start in (0, 4))
    assert not torch.equal(first, second)
    assert torch.equal(first.flatten(1).unique(dim=0), second.flatten(1).unique(dim=0))
    assert len(first.flatten(1).unique(dim=0)) == 64


def test_images_are_augmented_as_the_data_allow_and_the_schedule_cuts() -> None:
    plain, cut = Recorder(), Recorder()
    fit(plain, DATA, SHORT, seed=0)
    fit(cut, DATA, replace(SHORT, cutout=16), seed=0)
    assert not any((images == 0).any() for images in plain.images)
    zeros = torch.cat(cut.images).eq(0).sum((1, 2, 3))
    assert zeros.max() == 16, "16 pixels of 32 are 4 of 8"
    assert zeros.min() >= 4
    flipped = Recorder()
    fit(flipped, replace(DATA, augmentation=Augmentation(flip=True)), SHORT, seed=0)
    assert not torch.equal(torch.cat(flipped.images), torch.cat(plain.images))
    assert torch.equal(torch.cat(flipped.images).sum((1, 2)).sort(1)[0], torch.cat(plain.images).sum((1, 2)).sort(1)[0])


def test_drop_path_rises_from_epoch_to_epoch() -> None:
    network = Recorder()
    fit(network, DATA, replace(SHORT, epochs=4, drop_path=0.2), seed=0)
    assert network.drop_paths[::4] == pytest.approx([0.0, 0.05, 0.1, 0.15])


def test_a_data_set_smaller_than_a_batch_is_one_batch() -> None:
    network = Recorder()
    fit(network, DATA, replace(SHORT, batch_size=100), seed=0)
    assert [len(images) for images in network.images] == [64, 64]


def test_progress_is_told_after_each_epoch() -> None:
    told: list[tuple[int, float]] = []
    loss = fit(small_network(), DATA, replace(SHORT, epochs=3), seed=0, on_epoch=lambda *a: told.append(a))
    assert [epoch for epoch, _ in told] == [1, 2, 3]
    assert told[-1][1] == loss


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.2), ("adamw", 0.02)])
@pytest.mark.parametrize("amp", [False, True])
def test_it_learns(optimizer: str, rate: float, amp: bool) -> None:
    network = small_network()
    before = measure(network, DATA.validation)
    fit(network, DATA, replace(SHORT, epochs=15, optimizer=optimizer, learning_rate=rate), seed=0, amp=amp)
    after = measure(network, DATA.validation)
    assert before.accuracy < 0.6
    assert after.accuracy >= 0.9
    assert after.cross_entropy < before.cross_entropy


def test_measuring_counts_every_image_and_changes_nothing() -> None:
    """1,001 images are more than two batches; the network answers class 0 with probability 0.7."""

    class Constant(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            assert not self.training
            return torch.tensor([0.7, 0.2, 0.1]).log().expand(len(images), 3)

    labels = torch.tensor([0] * 500 + [1] * 300 + [2] * 201)
    network = Constant()
    found = measure(network, TensorDataset(torch.zeros(1001, 1, 8, 8), labels))
    assert found.accuracy == 500 / 1001
    wanted = -(500 * math.log(0.7) + 300 * math.log(0.2) + 201 * math.log(0.1)) / 1001
    assert found.cross_entropy == pytest.approx(wanted, rel=1e-5)
    assert network.training
    measure(network.eval(), TensorDataset(torch.zeros(3, 1, 8, 8), labels[:3]))
    assert not network.training


# Architectures


@pytest.mark.parametrize("name", ["VGG", "Mobilenetv2", NASBENCH201], ids=["VGG", "Mobilenetv2", "nasbench201"])
def test_training_repeats_to_the_bit(name: str) -> None:
    """Whatever the global random state and the number of threads are; and both are left alone."""
    architecture, results = parse(name), []
    s = replace(SHORT, drop_path=0.3, auxiliary=0.4, cutout=8, label_smoothing=0.1)
    threads = torch.get_num_threads()
    try:
        for global_seed, n in ((1, 1), (2, 2)):
            torch.manual_seed(global_seed)
            torch.set_num_threads(n)
            state = torch.get_rng_state()
            results.append(replace(train_network(SKELETON, architecture, DATA, s, seed=3), seconds=0.0))
            assert torch.equal(torch.get_rng_state(), state)
            assert torch.get_num_threads() == n
    finally:
        torch.set_num_threads(threads)
    assert results[0] == results[1]
    other = train_network(SKELETON, architecture, DATA, s, seed=4)
    assert other.training_loss != results[0].training_loss


def test_the_test_split_is_read_only_when_asked_for() -> None:
    guarded = object.__new__(WithoutTest)
    vars(guarded).update(vars(DATA))
    result = train_network(SKELETON, parse("ResBlock"), guarded, SHORT, seed=0)
    assert result.test_accuracy is None
    with pytest.raises(AssertionError, match="the test split was read"):
        train_network(SKELETON, parse("ResBlock"), guarded, SHORT, seed=0, read_test=True)
    read = train_network(SKELETON, parse("ResBlock"), DATA, SHORT, seed=0, read_test=True)
    assert read.validation_cross_entropy == result.validation_cross_entropy
    assert read.test_accuracy is not None
    assert 0 <= read.test_accuracy <= 1


def test_the_result_describes_the_trained_network() -> None:
    """A network that is handed in is trained in place, and measured as the result says."""
    architecture = parse("VGG")
    network = build_network(architecture, SKELETON, auxiliary=True)
    s = replace(SHORT, auxiliary=0.4)
    result = train_network(SKELETON, architecture, DATA, s, seed=0, read_test=True, network=network, keep_weights=True)
    measured = measure(network, DATA.validation)
    assert measured[:2] == (result.validation_accuracy, result.validation_cross_entropy)
    assert measured.images == len(DATA.validation)
    assert measure(network, DATA.test).accuracy == result.test_accuracy
    assert result.parameters == network_cost(architecture, SKELETON).params, "without the auxiliary head"
    assert result.weights is not None
    plain = build_network(architecture, SKELETON)
    plain.load_state_dict({name: torch.as_tensor(value) for name, value in result.weights.items()})
    assert measure(plain, DATA.validation).accuracy == result.validation_accuracy
    assert (result.epochs, result.seed) == (2, 0)
    assert result.seconds > 0


def test_a_diverging_training_names_its_architecture() -> None:
    architecture = parse("VGG")
    wild = Schedule(epochs=3, batch_size=16, learning_rate=1e30, clip=0)
    with pytest.raises(ValueError, match=r"the loss is (nan|inf) in epoch .*lower the learning rate") as caught:
        train_network(SKELETON, architecture, DATA, wild, seed=0)
    assert str(caught.value).startswith(f"architecture {architecture.key}: ")
    assert "\n" not in str(caught.value)
    last_step = Schedule(epochs=1, batch_size=64, learning_rate=1e30, clip=0)
    with pytest.raises(ValueError, match=r"the cross-entropy on held-out images is (nan|inf)"):
        train_network(SKELETON, architecture, DATA, last_step, seed=0)


def test_quick_learns_digits() -> None:  # 2 s: the schedule that the demo stands on
    skeleton = Skeleton(channels=8, cells=3, image_size=8, image_channels=1)
    result = train_network(skeleton, parse("ResBlock"), load_data("digits"), schedule("quick"), seed=0)
    assert result.validation_accuracy > 0.93
    assert np.isfinite(result.validation_cross_entropy)
