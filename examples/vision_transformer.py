"""A vision transformer, with its own training: AdamW, a warm-up, and a cosine.

python examples/vision_transformer.py
python examples/vision_transformer.py --data fashion-mnist --epochs 30

trains a small one of torchvision's (six blocks) on scikit-learn's digits or other small images, and has natrl.optimize
take 30 % of its multiply-adds: layers of lower rank, and attention and whole branches that go. Score and training are
functions of one's own. Beside the result: the original trained on alike, and what is left of it without as many blocks
at its end as cost as much. It takes two minutes on two cores with the digits.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch
from _numbers import count, seed
from _pictures import draw_layers
from torch import nn, Tensor
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader
from torchvision.models import VisionTransformer

import natrl
from natrl.spaces.budget import limit_of

BATCH = 50


Pairs = tuple[Tensor, Tensor]


def images_of(name: str, most: int) -> list[Pairs]:
    """Training (at most so many), validation and test: images float32 (N, C, H, W) and their classes."""
    data = natrl.load_data(name)
    parts = [(data.train, most), (data.validation, most), (data.test, len(data.test))]
    return [next(iter(DataLoader(part, min(n, len(part))))) for part, n in parts]


def transformer(images: Tensor, classes: int) -> nn.Module:
    """Sixteen patches and a class token, 64 numbers each."""
    _, channels, _, size = images.shape
    model = VisionTransformer(
        image_size=size,
        patch_size=size // 4,
        num_layers=6,
        num_heads=4,
        hidden_dim=64,
        mlp_dim=128,
        num_classes=classes,
    )
    model.conv_proj = nn.Conv2d(channels, 64, size // 4, size // 4)
    return model


def shallower(model: nn.Module, example: Tensor, madds: float) -> nn.Module:
    """A copy without as many blocks at the end as make it cost no more."""
    model = deepcopy(model)
    while madds_of(model, example) > madds:
        model.encoder.layers = model.encoder.layers[:-1]
    return model


def madds_of(model: nn.Module, example: Tensor) -> int:
    space = natrl.from_module(model, example)
    return space.cost(space.architecture).madds


class Training:
    """tune: AdamW; the rate rises for a tenth of the steps, then falls along a cosine."""

    def __init__(self, images: Tensor, labels: Tensor, epochs: int, rate: float) -> None:
        self.images, self.labels, self.epochs, self.rate = images, labels, epochs, rate

    def __call__(self, network: nn.Module) -> None:
        torch.manual_seed(0)
        device = next(network.parameters()).device
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
        parts = -(-len(self.images) // BATCH)
        schedule = OneCycleLR(optimizer, self.rate, total_steps=self.epochs * parts + 1, pct_start=0.1)
        network.train()
        for _ in range(self.epochs):
            for part in torch.randperm(len(self.images)).split(BATCH):
                images, labels = self.images[part].to(device), self.labels[part].to(device)
                optimizer.zero_grad()
                nn.functional.cross_entropy(network(images), labels, label_smoothing=0.1).backward()
                optimizer.step()
                schedule.step()


class Accuracy:
    """score: the share of right answers."""

    __name__ = "accuracy on images"

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __call__(self, network: nn.Module) -> float:
        device = next(network.parameters()).device
        return (network(self.images.to(device)).argmax(1).cpu() == self.labels).float().mean().item()


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", default="digits", help="or fashion-mnist, or what else natrl reads")
    options.add_argument("--images", type=count, default=5000, help="at most, to train on")
    options.add_argument("--epochs", type=count, default=60)
    options.add_argument("--iterations", type=count, default=10, help="of the policy")
    options.add_argument("--candidates", type=count, default=8)
    options.add_argument("--max-madds", default="70%")
    options.add_argument("--seed", type=seed, default=0)
    options.add_argument("--out", type=Path, default=Path("transformer"))
    options.add_argument("--picture", type=Path, help="draw what each layer costs before and after")
    given = options.parse_args(argv)
    torch.set_num_threads(1)  # more only wait for each other on layers as small as these
    try:
        limit_of("--max-madds", given.max_madds, 1)
        train, held_out, test = images_of(given.data, given.images)
    except ValueError as error:
        options.error(str(error))
    torch.manual_seed(given.seed)
    model = transformer(train[0], int(train[1].max()) + 1)
    Training(*train, given.epochs, 1e-3)(model)
    tune = Training(*train, max(1, given.epochs // 4), 5e-4)
    default = natrl.OptimizeSettings(candidates=given.candidates, seed=given.seed)
    found = natrl.optimize(
        model,
        score=Accuracy(*held_out),
        tune=tune,
        example_input=train[0][:128],
        budget={"madds": given.max_madds},
        settings=replace(default, learn=replace(default.learn, iterations=given.iterations)),
        out=given.out,
    )
    print(found.summary())
    before, after = found.before.cost.madds, found.after.cost.madds
    fewer = shallower(model, train[0][:1], limit_of("--max-madds", given.max_madds, before))
    tune(fewer)
    rows = {
        "the original": (model, 1.0),
        "trained on alike": (found.tuned_original_model, 1.0),
        "the result": (found.model, after / before),
        f"{len(fewer.encoder.layers)} blocks": (fewer, madds_of(fewer, train[0][:1]) / before),
    }
    print("accuracy on test images, MAdds")
    with torch.no_grad():
        for name, (network, cost) in rows.items():
            print(f"{name:<20} {Accuracy(*test)(network.eval()):.1%} {cost:>7.1%}")
    if given.picture:
        draw_layers(given.picture, found)


if __name__ == "__main__":
    main()
