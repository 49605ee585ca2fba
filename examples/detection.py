"""Object detection: torchvision's SSDlite, with its own losses, a loop and a score of one's own.

python examples/detection.py   # pip install '.[detection]'

draws images with squares, discs and crosses and a box around each, trains SSDlite with MobileNetV3-Small on them, and
has natrl.optimize take 30 % of its multiply-adds, by single replacements whose effects add up. The score is the mean
average precision by torchmetrics. It takes two to three minutes on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from _numbers import at_least, count, seed
from _pictures import draw_boxes
from _shapes import CLASSES, draw
from torch import nn, Tensor
from torchmetrics.detection import MeanAveragePrecision
from torchvision.models import mobilenet_v3_small
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead

import natrl

SIZE = 96  # pixels
SHOWN, SURE = 4, 0.5  # images of the picture; scores of boxes that it shows
BATCH = 16


class Backbone(nn.Module):
    """MobileNetV3-Small up to its stride of 16: feature maps at an eighth and a sixteenth of the image."""

    out_channels = (24, 48)

    def __init__(self) -> None:
        super().__init__()
        features = mobilenet_v3_small(weights=None).features
        self.fine, self.coarse = features[:4], features[4:9]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        fine = self.fine(images)
        return {"fine": fine, "coarse": self.coarse(fine)}


class Detector(nn.Module):
    """SSDlite of torchvision's parts. It takes a list of images, natrl gives a tensor (B, 3, SIZE, SIZE)."""

    def __init__(self) -> None:
        super().__init__()
        backbone, anchors = Backbone(), DefaultBoxGenerator([[2], [2]], scales=[0.25, 0.4, 0.55])
        head = SSDLiteHead([*backbone.out_channels], anchors.num_anchors_per_location(), CLASSES, nn.BatchNorm2d)
        fewer = {"topk_candidates": 50, "detections_per_img": 20}
        normalised = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
        self.detector = SSD(backbone, anchors, (SIZE, SIZE), CLASSES, head=head, **fewer, **normalised)

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        return self.detector(list(images))


class Training:
    """tune: some epochs with the detector's own losses."""

    def __init__(self, images: Tensor, boxes: Tensor, epochs: int, rate: float) -> None:
        self.images, self.boxes, self.epochs, self.rate = images, boxes, epochs, rate

    def __call__(self, network: Detector) -> None:
        torch.manual_seed(0)
        device = next(network.parameters()).device
        optimizer = torch.optim.AdamW(network.parameters())
        steps = self.epochs * (len(self.images) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.rate, total_steps=steps + 1)
        kinds = torch.arange(1, CLASSES, device=device)
        network.train()
        for _ in range(self.epochs):
            for part in torch.randperm(len(self.images)).split(BATCH)[: len(self.images) // BATCH]:
                images, boxes = self.images[part].to(device), self.boxes[part].to(device)
                losses = network.detector(list(images), [{"boxes": each, "labels": kinds} for each in boxes])
                optimizer.zero_grad()
                sum(losses.values()).backward()
                optimizer.step()
                schedule.step()


class Precision:
    """score: the mean average precision over IoU 0.5 … 0.95 and classes (COCO's mAP), in [0, 1]."""

    __name__ = "mAP"

    def __init__(self, images: Tensor, boxes: Tensor) -> None:
        self.images, self.boxes = images, boxes

    def __call__(self, network: nn.Module) -> float:
        device, kinds = next(network.parameters()).device, torch.arange(1, CLASSES)
        metric = MeanAveragePrecision()
        for images, boxes in zip(self.images.split(32), self.boxes.split(32), strict=True):
            found = [{name: t.cpu() for name, t in each.items()} for each in network(images.to(device))]
            metric.update(found, [{"boxes": each, "labels": kinds} for each in boxes])
        return metric.compute()["map"].item()


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument(
        "--images",
        type=at_least(BATCH),
        default=480,
        help="to train on; an eighth of that to choose by, a quarter to test",
    )
    options.add_argument("--epochs", type=count, default=24)
    options.add_argument("--max-madds", default="70%")
    options.add_argument("--candidates", type=count, default=12)
    options.add_argument("--seed", type=seed, default=0)
    options.add_argument("--out", type=Path, default=Path("detector"))
    options.add_argument("--picture", type=Path, help="draw what the networks find in test images")
    given = options.parse_args(argv)
    torch.set_num_threads(1)  # more only wait for each other on layers as small as these
    (images, _, boxes), held_out, test = (
        draw(n, SIZE, 3 * given.seed + part)
        for part, n in enumerate((given.images, given.images // 8, given.images // 4))
    )
    torch.manual_seed(given.seed)
    model = Detector()
    Training(images, boxes, given.epochs, 5e-3)(model)
    tune = Training(images, boxes, max(1, given.epochs // 4), 2e-3)
    found = natrl.optimize(
        model,
        score=Precision(held_out[0], held_out[2]),
        tune=tune,
        example_input=images[:32],
        budget={"madds": given.max_madds},
        settings=natrl.OptimizeSettings(method="additive", candidates=given.candidates, finalists=2, seed=given.seed),
        out=given.out,
    )
    print(found.summary())
    last_look = Precision(test[0], test[2])
    print("mAP on test images, MAdds")
    whole, share = found.before.cost.madds, found.after.cost.madds / found.before.cost.madds
    rows = {
        "the original": (model, 1.0),
        "trained on alike": (found.tuned_original_model, 1.0),
        "the result": (found.model, share),
    }
    with torch.no_grad():
        for name, (network, cost) in rows.items():
            print(f"{name:<20} {last_look(network.eval()):.3f} {cost:>7.1%} of {whole / 1e6:.1f} M")
    if given.picture:
        images, kinds = test[0][:SHOWN], torch.arange(1, CLASSES)
        found_in = {"the truth": [(each, kinds) for each in test[2][:SHOWN]]}
        with torch.no_grad():
            found_in |= {name: [sure(each) for each in network(images)] for name, (network, _) in rows.items()}
        draw_boxes(given.picture, images, found_in)


def sure(found: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Boxes (m, 4) and classes (m,) of what a detector is sure of."""
    is_sure = found["scores"] > SURE
    return found["boxes"][is_sure], found["labels"][is_sure]


if __name__ == "__main__":
    main()
