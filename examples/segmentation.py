"""A task that natrl does not know: segmentation of drawn shapes, with a loss, a loop and a score of one's own.

python examples/segmentation.py

draws images with squares, discs and crosses, trains a small encoder and decoder on them, and has natrl.optimize halve
its multiply-adds; two minutes on two cores. The network's outputs are a dict, the score is the mean IoU, and classes
are weighted, since most pixels are background.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn, Tensor

import natrl

SIZE = 32  # pixels
CLASSES = 4  # background, square, disc, cross


def draw(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """n noisy images float32 (n, 3, SIZE, SIZE) with three shapes each, and the class of each pixel (n, SIZE, SIZE)."""
    random = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    images, labels = torch.rand(n, 3, SIZE, SIZE, generator=random) * 0.6, torch.zeros(n, SIZE, SIZE, dtype=torch.int64)
    for i in range(n):
        for kind in (1, 2, 3):
            y, x = torch.randint(8, SIZE - 8, (2,), generator=random).tolist()
            radius = int(torch.randint(4, 8, (), generator=random))
            down, across = (rows - y).abs(), (columns - x).abs()
            inside = {
                1: torch.maximum(down, across) < radius,
                2: (down**2 + across**2) < radius**2,
                3: (torch.minimum(down, across) < 2) & (torch.maximum(down, across) < radius),
            }[kind]
            labels[i][inside] = kind
            images[i][:, inside] += 0.4 * torch.rand(3, 1, generator=random)
    return images, labels


class Segmenter(nn.Module):
    """Two scales down and up again, with a skip between."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.first, self.second = block(3, width), block(width, width)
        self.down, self.deep = block(width, 2 * width, stride=2), block(2 * width, 2 * width)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.join, self.head = block(3 * width, width), nn.Conv2d(width, CLASSES, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        fine = self.second(self.first(images))
        coarse = self.deep(self.down(fine))
        return {"out": self.head(self.join(torch.cat([fine, self.up(coarse)], 1))), "features": coarse}


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    convolution = nn.Conv2d(inputs, outputs, 5, stride, padding=2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class Training:
    """tune: some epochs over the images."""

    def __init__(self, images: Tensor, labels: Tensor, epochs: int) -> None:
        self.images, self.labels, self.epochs = images, labels, epochs

    def __call__(self, network: nn.Module) -> None:
        torch.manual_seed(0)
        device = next(network.parameters()).device
        weights = torch.tensor([0.2, 1.0, 1.0, 2.0], device=device)
        optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
        network.train()
        for _ in range(self.epochs):
            for part in torch.randperm(len(self.images)).split(16):
                optimizer.zero_grad()
                outputs, labels = network(self.images[part].to(device))["out"], self.labels[part].to(device)
                nn.functional.cross_entropy(outputs, labels, weight=weights).backward()
                optimizer.step()


class MeanIoU:
    """score: intersection over union of each class, their mean in [0, 1]."""

    __name__ = "mean IoU"

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __call__(self, network: nn.Module) -> float:
        device = next(network.parameters()).device
        found = torch.cat([network(part.to(device))["out"].argmax(1).cpu() for part in self.images.split(64)])
        shares = []
        for kind in range(CLASSES):
            ours, theirs = found == kind, self.labels == kind
            shares.append((ours & theirs).sum() / (ours | theirs).sum().clamp(min=1))
        return float(torch.stack(shares).mean())


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=240)
    options.add_argument("--epochs", type=int, default=12)
    options.add_argument("--iterations", type=int, default=6, help="of the policy")
    options.add_argument("--out", type=Path, default=Path("segmenter"))
    given = options.parse_args(argv)
    train, held_out, test = draw(given.images, 0), draw(given.images // 4, 1), draw(given.images // 4, 2)
    torch.manual_seed(0)
    model = Segmenter()
    Training(*train, given.epochs)(model)
    default = natrl.OptimizeSettings()
    learn = replace(default.learn, iterations=given.iterations)
    tune = Training(*train, max(1, given.epochs // 2))
    found = natrl.optimize(
        model,
        score=MeanIoU(*held_out),
        tune=tune,
        example_input=train[0][:32],
        budget={"madds": "50%"},
        settings=replace(default, learn=learn),
        out=given.out,
    )
    print(found.summary())
    alike = deepcopy(model)
    tune(alike)
    with torch.no_grad():
        figures = [MeanIoU(*test)(network.eval()) for network in (model, alike, found.model)]
    print(
        "mean IoU on test images: {:.3f} before, {:.3f} trained on as the result was, {:.3f} the result".format(
            *figures
        )
    )


if __name__ == "__main__":
    main()
