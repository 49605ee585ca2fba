"""How a replaced network starts: random, from the trained kernels alone, or by least squares, of layers that stay too.

A small ResNet with a 5×5 stem and twelve 3×3 convolutions is trained; then all its slots of a kind are replaced at
once, or the second block of each stage does nothing. Accuracies on the validation split: as it is ("raw"), after new
batch-norm statistics ("recalibrated"), and after a short fine-tuning ("tuned", with --steps above 0).

    nice -n 5 python benchmarks/inheritance.py --data cifar10-jpeg --image-size 16
"""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import replace

import torch
from _networks import few, ResNet
from _options import number, Parser, run
from _rows import print_row
from torch import nn

from natrl.checks.fields import Count, Seed, Size, Steps
from natrl.data import batches
from natrl.modules.inherit.kernels import inherit_kernel
from natrl.modules.inherit.least_squares import inherit
from natrl.modules.inherit.reference import Reference
from natrl.modules.replace.held import operation_of
from natrl.modules.replace.replacements import replacement
from natrl.training.fitting import fit, measure
from natrl.training.modes import recalibrating
from natrl.training.schedule import Schedule

SECOND = ("blocks.1.conv2", "blocks.3.conv2", "blocks.5.conv2")  # the branches' last convolutions
CASES = {
    "conv_5x5 → conv_3x3": ("conv_5x5", "conv_3x3"),
    "conv_3x3 → sep_conv_3x3": ("conv_3x3", "sep_conv_3x3"),
    "conv_3x3 → dil_conv_3x3": ("conv_3x3", "dil_conv_3x3"),
    "conv_3x3 → conv_1x1": ("conv_3x3", "conv_1x1"),
    "second blocks → null": (SECOND, "null"),
}


def replaced(
    model: nn.Module, before: str | tuple[str, ...], after: str, *, kernels: bool
) -> tuple[nn.Module, dict[str, nn.Conv2d]]:
    """A copy with every slot that holds `before`, or is named so, replaced, and the layers that stood there."""
    copy, layers = deepcopy(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d) and (name in before or operation_of(layer) == before):
            layers[name] = layer
            new = replacement(layer, after)
            if kernels:
                inherit_kernel(layer, new)
            copy.set_submodule(name, new)
    return copy, layers


def starts(
    model: nn.Module, before: str | tuple[str, ...], after: str, reference: Reference, *, recalibrate: bool
) -> dict[str, nn.Module]:
    """The replaced network with each kind of first weights."""
    random, layers = replaced(model, before, after, kernels=False)
    kernels, _ = replaced(model, before, after, kernels=True)
    squares = deepcopy(kernels)
    staying = deepcopy(kernels)
    inherit(squares, layers, reference, recalibrate=recalibrate)
    others = {n: model.get_submodule(n) for n in reference.layers if n not in layers}
    inherit(staying, layers, reference, recalibrate=recalibrate, staying=others)  # type: ignore[arg-type]
    if recalibrate:
        for network in (random, kernels):
            with recalibrating(network), torch.no_grad():
                network(*reference.inputs)
    return {"random": random, "kernel": kernels, "least squares": squares, "of all": staying}


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--data", default="cifar10-jpeg")
    parser.add_argument("--image-size", type=number(Size), default=16)
    parser.add_argument("--train-images", type=number(Count), default=10_000)
    parser.add_argument("--channels", type=number(Size), default=16)
    parser.add_argument("--epochs", type=number(Count), default=8)
    parser.add_argument("--reference-images", type=number(Count), default=512)
    parser.add_argument("--steps", type=number(Steps), default=0, help="of fine-tuning, 64 images each")
    parser.add_argument("--seed", type=number(Seed), default=0)
    options = parser.parse_args()

    data = few(options.data, options.image_size, options.train_images, options.seed)
    torch.manual_seed(options.seed)
    model = ResNet(data.image_channels, data.num_classes, options.channels, stages=3, kernel=5)
    schedule = Schedule(epochs=options.epochs, batch_size=64, learning_rate=0.1, warmup=0.1, weight_decay=5e-4)
    fit(model, data, schedule, seed=options.seed)
    print_row("inheritance", slots="none replaced", accuracy=measure(model, data.validation).accuracy)
    images, _ = next(batches(data.train, options.reference_images, shuffle_seed=options.seed))
    layers = [n for n, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    model.eval()
    references = {again: Reference(deepcopy(model), layers, images, recalibrate=again) for again in (False, True)}
    tuning = replace(schedule, epochs=1, learning_rate=0.02, warmup=0.0)
    tuned_on = few(options.data, options.image_size, 64 * options.steps, options.seed) if options.steps else data
    for name, (before, after) in CASES.items():
        start = time.perf_counter()
        raw, recalibrated = (starts(model, before, after, of, recalibrate=again) for again, of in references.items())
        seconds = time.perf_counter() - start
        for kind, network in recalibrated.items():
            figures = {
                "raw": measure(raw[kind], data.validation).accuracy,
                "recalibrated": measure(network, data.validation).accuracy,
            }
            if options.steps:
                fit(network, tuned_on, tuning, seed=options.seed)
                figures["tuned"] = measure(network, data.validation).accuracy
            print_row("inheritance", slots=name, start=kind, **figures, seconds=seconds)


if __name__ == "__main__":
    run(main)
