"""CIFAR variants of three network families, with a width to choose: for small images, nothing shrinks early.

And how benchmarks train them, on few images.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch
import torchvision
from _options import number, Parser
from torch import nn, Tensor
from torch.utils.data import TensorDataset
from torchvision.models.convnext import CNBlockConfig

from natrl.checks.fields import Count, Positive, Size
from natrl.data import batches, ImageData, load_data
from natrl.training.fitting import fit
from natrl.training.schedule import FINE_TUNING, Schedule

__all__ = [
    "FINE_TUNINGS",
    "NETWORKS",
    "SCHEDULES",
    "Block",
    "ResNet",
    "convnext",
    "few",
    "mobilenet_v2",
    "options",
    "resnet18",
    "trained",
]


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al. 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (out + self.shortcut(x)).relu()


class ResNet(nn.Module):
    """Stages of two blocks; each stage but the first halves the image and doubles the channels (`width`, rounded).

    Channels are multiples of `multiple`.
    """

    def __init__(
        self, images: int, classes: int, width: float, stages: int, kernel: int = 3, multiple: int = 1
    ) -> None:
        super().__init__()
        before = _channels(width, multiple)
        self.stem = nn.Conv2d(images, before, kernel, 1, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(before)
        blocks = []
        for stage in range(stages):
            for index in range(2):
                after = _channels(width * 2**stage, multiple)
                blocks.append(Block(before, after, 2 if stage and not index else 1))
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.blocks(self.norm(self.stem(x)).relu()).mean((2, 3)))


def _channels(wanted: float, multiple: int) -> int:
    return multiple * max(1, round(wanted / multiple))


def resnet18(images: int, classes: int, width: float, multiple: int = 1) -> ResNet:
    """ResNet-18 as the field trains it on CIFAR: a 3×3 stem without pooling; width 1 has 64 channels."""
    return ResNet(images, classes, 64 * width, 4, multiple=multiple)


def mobilenet_v2(images: int, classes: int, width: float, multiple: int = 8) -> nn.Module:
    """torchvision's MobileNetV2 with stride 1 in the stem and in the first stage that would halve the image.

    Channels are multiples of `multiple`.
    """
    network = torchvision.models.mobilenet_v2(num_classes=classes, width_mult=width, round_nearest=multiple)
    stem = network.features[0][0]
    network.features[0][0] = nn.Conv2d(images, stem.out_channels, 3, 1, 1, bias=False)
    network.features[2].conv[1][0].stride = (1, 1)
    return network


def convnext(images: int, classes: int, width: float, multiple: int = 1) -> nn.Module:
    """torchvision's ConvNeXt with blocks (2, 2, 6, 2) on patches of 2×2 pixels; width 1 has 64 channels first."""
    channels = [*(_channels(64 * width * 2**stage, multiple) for stage in range(4)), None]
    stages = [CNBlockConfig(*pair, blocks) for *pair, blocks in zip(channels, channels[1:], (2, 2, 6, 2), strict=False)]
    network = torchvision.models.ConvNeXt(stages, layer_scale=0.1, num_classes=classes)
    network.features[0][0] = nn.Conv2d(images, channels[0], 2, 2)
    return network


NETWORKS = {"resnet18": resnet18, "mobilenet_v2": mobilenet_v2, "convnext": convnext}
SGD = Schedule(epochs=10, batch_size=64, learning_rate=0.1, warmup=0.1, weight_decay=5e-4)
ADAMW = replace(SGD, optimizer="adamw", learning_rate=4e-3, weight_decay=0.05)
SCHEDULES = dict.fromkeys(NETWORKS, SGD) | {"convnext": ADAMW}  # from scratch
FINE_TUNINGS = dict.fromkeys(NETWORKS, FINE_TUNING) | {"convnext": replace(ADAMW, epochs=3, learning_rate=8e-4)}


def options(description: str | None, *, width: float, train_images: int) -> argparse.ArgumentParser:
    """Which network is trained on what; more options may be added."""
    parser = Parser(description)
    parser.add_argument("--network", choices=NETWORKS, default="resnet18")
    parser.add_argument("--width", type=number(Positive), default=width, help="share of the published channels")
    parser.add_argument("--data", default="cifar10-jpeg")
    parser.add_argument("--image-size", type=number(Size), default=16)
    parser.add_argument("--train-images", type=number(Count), default=train_images)
    parser.add_argument("--epochs", type=number(Count), default=10, help="of the original's training")
    return parser


def few(name: str, image_size: int, train_images: int, seed: int) -> ImageData:
    """A data set with so many training images, of all classes (data sets may be sorted)."""
    data = load_data(name, seed=seed, image_size=image_size)
    return replace(data, train=TensorDataset(*next(batches(data.train, train_images, shuffle_seed=seed))))


def trained(network: str, width: float, data: ImageData, *, epochs: int, seed: int) -> nn.Module:
    """One of NETWORKS, trained."""
    torch.manual_seed(seed)
    model = NETWORKS[network](data.image_channels, data.num_classes, width)
    fit(model, data, replace(SCHEDULES[network], epochs=epochs), seed=seed)
    return model.eval()
