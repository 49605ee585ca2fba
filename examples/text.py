"""Text: bytes, convolutions along one axis, and a loop of one's own.

python examples/text.py

trains a network to tell from which of four packages of Python's own library 128 bytes of source code are, and has
natrl.optimize halve its multiply-adds, by single replacements whose effects add up. A file is for training, validation
or test as a whole. What there is to read depends on Python's version. It takes a minute on two cores.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path

import torch
from _numbers import count, seed
from _pictures import draw_layers
from torch import nn, Tensor

import natrl

PACKAGES = ("asyncio", "email", "unittest", "xml")
LENGTH = 128  # bytes
WIDTH = 48


def snippets(each: int, part: int, seed: int) -> tuple[Tensor, Tensor]:
    """`each` snippets of every package: bytes int64 (N, LENGTH), and packages (N,).

    A part has files of its own: 0 and 1 one in five each, 2 the others.
    """
    random, found = torch.Generator().manual_seed(seed), []
    for name in PACKAGES:
        files = sorted(Path(importlib.import_module(name).__file__).parent.rglob("*.py"))
        text = b"".join(file.read_bytes() for number, file in enumerate(files) if min(number % 5, 2) == part)
        starts = torch.randint(len(text) - LENGTH, (each,), generator=random).tolist()
        found += [list(text[start : start + LENGTH]) for start in starts]
    return torch.tensor(found), torch.arange(len(PACKAGES)).repeat_interleave(each)


def classifier() -> nn.Module:
    """bytes (B, LENGTH) → logits (B, 4)."""
    layers: list[nn.Module] = [nn.Embedding(256, WIDTH), Channels()]
    for _ in range(3):
        layers += [nn.Conv1d(WIDTH, WIDTH, 5, padding=2, bias=False), nn.BatchNorm1d(WIDTH), nn.ReLU()]
        layers += [nn.Conv1d(WIDTH, WIDTH, 5, padding=2, bias=False), nn.BatchNorm1d(WIDTH), nn.ReLU(), nn.MaxPool1d(2)]
    return nn.Sequential(*layers, nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(WIDTH, len(PACKAGES)))


class Channels(nn.Module):
    """(B, LENGTH, WIDTH) → (B, WIDTH, LENGTH)."""

    def forward(self, embedded: Tensor) -> Tensor:
        return embedded.transpose(1, 2)


class Training:
    """tune: some epochs."""

    def __init__(self, text: Tensor, packages: Tensor, epochs: int, rate: float) -> None:
        self.text, self.packages, self.epochs, self.rate = text, packages, epochs, rate

    def __call__(self, network: nn.Module) -> None:
        torch.manual_seed(0)
        device = next(network.parameters()).device
        optimizer = torch.optim.AdamW(network.parameters(), self.rate, weight_decay=0.1)
        steps = self.epochs * -(-len(self.text) // 32)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.rate, total_steps=steps + 1)
        network.train()
        for _ in range(self.epochs):
            for part in torch.randperm(len(self.text)).split(32):
                optimizer.zero_grad()
                outputs = network(self.text[part].to(device))
                nn.functional.cross_entropy(outputs, self.packages[part].to(device)).backward()
                optimizer.step()
                schedule.step()


class RightPackages:
    """score: the share of snippets whose package is named."""

    __name__ = "right packages"

    def __init__(self, text: Tensor, packages: Tensor) -> None:
        self.text, self.packages = text, packages

    def __call__(self, network: nn.Module) -> float:
        device = next(network.parameters()).device
        named = torch.cat([network(part.to(device)).argmax(1).cpu() for part in self.text.split(128)])
        return (named == self.packages).float().mean().item()


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--snippets", type=count, default=500, help="of each package, for training")
    options.add_argument("--epochs", type=count, default=8)
    options.add_argument("--candidates", type=count, default=12)
    options.add_argument("--max-madds", default="50%")
    options.add_argument("--seed", type=seed, default=0)
    options.add_argument("--out", type=Path, default=Path("text"))
    options.add_argument("--picture", type=Path, help="draw what each layer costs before and after")
    given = options.parse_args(argv)
    torch.set_num_threads(1)  # more only wait for each other on layers as small as these
    fewer = max(2, given.snippets // 4)
    train, held_out, test = (snippets(n, part, given.seed) for part, n in ((2, given.snippets), (0, fewer), (1, fewer)))
    torch.manual_seed(given.seed)
    model = classifier()
    Training(*train, given.epochs, 2e-3)(model)
    tune = Training(*train, max(1, given.epochs // 4), 5e-4)
    found = natrl.optimize(
        model,
        score=RightPackages(*held_out),
        tune=tune,
        example_input=train[0][::8],
        budget={"madds": given.max_madds},
        settings=natrl.OptimizeSettings(method="additive", candidates=given.candidates, seed=given.seed),
        out=given.out,
    )
    print(found.summary())
    share = found.after.cost.madds / found.before.cost.madds
    rows = {
        "the original": (model, 1.0),
        "trained on alike": (found.tuned_original_model, 1.0),
        "the result": (found.model, share),
    }
    print("right packages on test snippets, MAdds")
    with torch.no_grad():
        for name, (network, cost) in rows.items():
            print(f"{name:<20} {RightPackages(*test)(network.eval()):.1%} {cost:>7.1%}")
    if given.picture:
        draw_layers(given.picture, found)


if __name__ == "__main__":
    main()
