"""A vision transformer, with its own training: AdamW, a warm-up, and a cosine.

python examples/vision_transformer.py

trains a small one of torchvision's (six blocks) on scikit-learn's digits, and has natrl.optimize take 30 % of its
multiply-adds: layers of lower rank, and attention and whole branches that go. Score and training are functions of one's
own. It takes two minutes on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from _pictures import draw_layers
from sklearn.datasets import load_digits
from torch import nn, Tensor
from torch.optim.lr_scheduler import OneCycleLR
from torchvision.models import VisionTransformer

import natrl

BATCH = 50


def digits() -> list[tuple[Tensor, Tensor]]:
    """Training, validation and test: 1,100, 300 and 397 images float32 (N, 1, 8, 8) and their digits."""
    found = load_digits()
    images, labels = torch.tensor(found.images[:, None] / 16, dtype=torch.float32), torch.tensor(found.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    return [(images[part], labels[part]) for part in order.split([1100, 300, len(order) - 1400])]


def transformer() -> nn.Module:
    """Sixteen patches of 2×2 pixels and a class token, 64 numbers each."""
    model = VisionTransformer(
        image_size=8, patch_size=2, num_layers=6, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=10
    )
    model.conv_proj = nn.Conv2d(1, 64, 2, 2)  # one channel
    return model


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
    options.add_argument("--epochs", type=int, default=60)
    options.add_argument("--iterations", type=int, default=10, help="of the policy")
    options.add_argument("--max-madds", default="70%")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, default=Path("transformer"))
    options.add_argument("--picture", type=Path, help="draw what each layer costs before and after")
    given = options.parse_args(argv)
    torch.set_num_threads(1)  # more only wait for each other on layers as small as these
    train, held_out, test = digits()
    torch.manual_seed(given.seed)
    model = transformer()
    Training(*train, given.epochs, 1e-3)(model)
    tune = Training(*train, max(1, given.epochs // 4), 5e-4)
    default = natrl.OptimizeSettings(candidates=8, seed=given.seed)
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
    share = found.after.cost.madds / found.before.cost.madds
    rows = {
        "the original": (model, 1.0),
        "trained on alike": (found.tuned_original_model, 1.0),
        "the result": (found.model, share),
    }
    print("accuracy on test images, MAdds")
    with torch.no_grad():
        for name, (network, cost) in rows.items():
            print(f"{name:<20} {Accuracy(*test)(network.eval()):.1%} {cost:>7.1%}")
    if given.picture:
        draw_layers(given.picture, found)


if __name__ == "__main__":
    main()
