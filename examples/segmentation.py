"""A task that natrl does not know: segmentation of drawn shapes, with a loss, a loop and a score of one's own.

python examples/segmentation.py

draws images with squares, discs and crosses, trains a small encoder and decoder on them, and has natrl.optimize halve
its multiply-adds; two minutes on two cores. The network's outputs are a dict, the score is natrl's mean IoU, the loop
is one's own, and classes are weighted in its loss, since most pixels are background. (Where natrl's own training will
do, `natrl.optimize(model, data=(train, held_out, test), score="mean_iou", …)` needs no more.)
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from _numbers import at_least, count, seed
from _pictures import draw_masks
from _shapes import CLASSES, draw
from torch import nn, Tensor
from torch.utils.data import TensorDataset

import natrl
from natrl.evaluation.scores import MeasuredScore, SCORES

SIZE = 32  # pixels
SHOWN = 6  # images of the picture


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


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument(
        "--images", type=at_least(4), default=240, help="to train on; a quarter of that to choose by, and to test"
    )
    options.add_argument("--epochs", type=count, default=12)
    options.add_argument("--iterations", type=count, default=6, help="of the policy")
    options.add_argument("--candidates", type=count, default=natrl.OptimizeSettings().candidates)
    options.add_argument("--seed", type=seed, default=0)
    options.add_argument("--out", type=Path, default=Path("segmenter"))
    options.add_argument("--picture", type=Path, help="draw what the networks see in test images")
    given = options.parse_args(argv)
    train, held_out, test = (
        draw(n, SIZE, 3 * given.seed + part)[:2] for part, n in enumerate((given.images, *2 * [given.images // 4]))
    )
    mean_iou = SCORES.get("mean_iou")
    torch.manual_seed(given.seed)
    model = Segmenter()
    Training(*train, given.epochs)(model)
    default = natrl.OptimizeSettings(candidates=given.candidates, seed=given.seed)
    learn = replace(default.learn, iterations=given.iterations)
    tune = Training(*train, max(1, given.epochs // 2))
    found = natrl.optimize(
        model,
        score=MeasuredScore(mean_iou, TensorDataset(*held_out)),
        tune=tune,
        example_input=train[0][:32],
        budget={"madds": "50%"},
        settings=replace(default, learn=learn),
        out=given.out,
    )
    print(found.summary())
    share = found.after.cost.madds / found.before.cost.madds
    rows = {
        "the original": (model, 1.0),
        "trained on alike": (found.tuned_original_model, 1.0),
        "the result": (found.model, share),
    }
    last_look = MeasuredScore(mean_iou, TensorDataset(*test))
    print("mean IoU on test images, MAdds")
    with torch.no_grad():
        for name, (network, cost) in rows.items():
            print(f"{name:<20} {last_look(network.eval()):.3f} {cost:>7.1%}")
    if given.picture:
        images, truth = (part[:SHOWN] for part in test)
        with torch.no_grad():
            seen = {name: network(images)["out"].argmax(1) for name, (network, _) in rows.items()}
        draw_masks(given.picture, images, {"the truth": truth} | seen)


if __name__ == "__main__":
    main()
