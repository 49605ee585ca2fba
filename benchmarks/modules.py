"""Networks of torchvision and timm as spaces: what can be replaced in each, and whether natrl keeps what it promises.

For each network: its convolutions and linear layers, how many slots are layers and blocks (attention as a whole),
poolings that are slots, wires, seconds to import (CPU time of the one thread, so that waiting for a busy machine does
not count), moves (operations that slots may become) and the share of the MAdds in slots that have some, natrl's MAdds
and how far off torch's FlopCounterMode on real data they are, whether the network built from its own architecture gives
the same outputs to the last bit (in evaluation, and in training with the same random numbers), and how many of some
random legal transforms run forward and backward (at a second size too, where the network does), cost no more, and cost
what torch counts, and whether one of them can be written as code that needs torch alone and gives the same to the last
bit (its lines, or why not). One JSON row a network, then a table; the exit status is 1 where a target is missed.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums in the same order, and times that compare

import numpy as np
import torch
import torchvision
from _options import number, Parser, run
from _rows import print_row
from rich.console import Console
from rich.table import Column, Table
from torch import nn, Tensor
from torch.utils.flop_counter import FlopCounterMode

import natrl
from natrl.checks.fields import Count, Size
from natrl.export.module_code import module_code
from natrl.modules import ModuleSpace

#: One of each family of classifiers.
TORCHVISION = (
    *("alexnet", "vgg16_bn", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "densenet121", "googlenet"),
    *("inception_v3", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "mnasnet1_0", "shufflenet_v2_x1_0"),
    *("efficientnet_b0", "efficientnet_v2_s", "regnet_y_400mf", "convnext_tiny", "mobilenet_v3_large", "maxvit_t"),
    *("vit_b_16", "swin_t", "swin_v2_t"),
)
TIMM = (
    *("resnet26t", "seresnet50", "skresnet18", "ecaresnet26t", "resnest14d", "res2net50_26w_4s", "resnetv2_50"),
    *("dla34", "hrnet_w18_small", "cspresnet50", "cspdarknet53", "darknet53", "densenet121", "dpn68", "ese_vovnet39b"),
    *("inception_v4", "inception_resnet_v2", "xception41", "efficientnet_b0", "efficientnet_lite0", "mixnet_s"),
    *("mobilenetv3_small_100", "mobilenetv4_conv_small", "fbnetc_100", "ghostnet_100", "repvgg_a0", "mobileone_s0"),
    *("selecsls42b", "regnetx_004", "gernet_s", "hardcorenas_a", "lcnet_050", "tresnet_m", "nf_regnet_b0"),
    *("eca_nfnet_l0", "convnext_atto", "deit_tiny_patch16_224", "swin_tiny_patch4_window7_224"),
)
#: Pixels, where the default is too small (the second head of one is larger) or the network takes no other.
SIZES = {
    "inception_v3": 299,
    **dict.fromkeys(("vit_b_16", "maxvit_t", "deit_tiny_patch16_224", "swin_tiny_patch4_window7_224"), 224),
}
MADDS, SECONDS = 0.001, {"resnet50": 5.0}  # targets: relative difference; seconds to import (others: LONGEST)
LONGEST = 10.0


def make(source: str, name: str) -> nn.Module:
    torch.manual_seed(0)
    if source == "torchvision":
        return getattr(torchvision.models, name)(weights=None)
    import timm

    return timm.create_model(name, pretrained=False)


def flops(model: nn.Module, image: Tensor) -> int:
    """MAdds of one image as torch counts them, in evaluation mode.

    It does not count attention that it runs as one operation.
    """
    torch.backends.mha.set_fastpath_enabled(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(image)
    torch.backends.mha.set_fastpath_enabled(True)
    return counter.get_total_flops() // 2


def trains(model: nn.Module, size: int) -> bool:
    """Whether it runs forward and backward on images of that size, and all that it gives are numbers."""
    images = torch.randn(2, 3, size, size)
    found = model.train()(images)
    given = [t for t in (found if isinstance(found, tuple) else (found,)) if isinstance(t, Tensor)]
    torch.stack([t.square().mean() for t in given]).sum().backward()
    return all(bool(t.isfinite().all()) for t in given)


def runs(model: nn.Module, size: int) -> bool:
    """Whether a network takes images of that size at all."""
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, 3, size, size))
    except Exception:  # of the network's own code
        return False
    return True


def outputs(model: nn.Module, images: Tensor, *, training: bool) -> list[Tensor]:
    """All that a network gives, and its running statistics after it, with the same random numbers."""
    torch.manual_seed(1)
    with torch.no_grad():
        found = model.train(training)(images)
    given = found if isinstance(found, tuple) else (found,)
    return [*(t for t in given if isinstance(t, Tensor)), *model.buffers()]


def is_identical(space: ModuleSpace, make: Callable[[], nn.Module], images: Tensor, *, training: bool) -> bool:
    pair = (outputs(model, images, training=training) for model in (make(), space.build(space.architecture)))
    return all(torch.equal(a, b) or bool(a.isnan().all()) for a, b in zip(*pair, strict=True))


def transforms(space: ModuleSpace, image: Tensor, sizes: list[int], n: int) -> int:
    """How many of n random legal transforms run, train at these sizes, cost no more, and cost what torch counts."""
    original, fine = space.cost(space.architecture), 0
    for architecture in space.samples(np.random.default_rng(0), n):
        model = space.build(architecture)
        cost, params = space.cost(architecture), sum(p.numel() for p in model.parameters())
        same = params == cost.params and abs(flops(model, image) - cost.madds) <= MADDS * cost.madds
        fine += same and cost <= original and space.check(architecture).is_live and all(trains(model, s) for s in sizes)
    return fine


def code_of(space: ModuleSpace, images: Tensor) -> int | str:
    """Lines of code of a random transform, or why there is none."""
    try:
        code = module_code(space.build(space.sample(np.random.default_rng(1))), images)
    except ValueError as error:
        return str(error)
    return len(code.splitlines())


def measure(source: str, name: str, size: int, n: int) -> dict[str, Any]:
    """One row."""
    image, images = torch.randn(1, 3, size, size), torch.randn(2, 3, size, size)
    model = make(source, name)
    start = time.thread_time()
    space = natrl.from_module(model, image)
    seconds = time.thread_time() - start
    madds, counted = space.cost(space.architecture).madds, flops(make(source, name), image)
    masks = space.masks(space.architecture)
    pooled = [s for s in space.slots if s.operation.endswith(("pool_2x2", "pool_3x3", "pool_5x5", "pool_7x7"))]
    identical = [
        is_identical(space, lambda: make(source, name), images, training=training) for training in (False, True)
    ]
    sizes = [size] + [other for other in (size + 64,) if runs(make(source, name), other)]
    fine = transforms(space, image, sizes, n)
    return {
        "layers": sum(isinstance(m, nn.Conv2d | nn.Linear) for m in model.modules()),
        "slots": len(space.slots) - len(pooled),
        "poolings": len(pooled),
        "wires": space.n_slots - len(space.slots),
        "seconds": seconds,
        "moves": int(masks.sum()) - space.n_slots,
        "movable": sum(s.cost.madds for s in space.slots if masks[s.index].sum() > 1) / madds,
        "madds": madds,
        "off": abs(madds - counted) / counted,
        "identical": identical[0],
        "identical_training": identical[1],
        "transforms": f"{fine}/{n}",
        "sizes": sizes,
        "code": code_of(space, images),
        "targets": all(identical)
        and abs(madds - counted) <= MADDS * counted
        and fine == n
        and seconds <= SECONDS.get(name, LONGEST),
    }


COLUMNS = ("layers", "slots", "poolings", "wires", "moves", "movable", "seconds", "madds", "off")
CHECKS = ("identical", "identical_training", "transforms", "code", "targets")
WIDTH = 180  # of the table, in characters


def table(rows: list[tuple[str, dict[str, Any]]]) -> Table:
    said = [f"{name}: {row['said']}" for name, row in rows if "said" in row]
    shown = Table(Column("network", no_wrap=True), *COLUMNS, *CHECKS, caption="\n".join(said), caption_justify="left")
    for name, row in rows:
        if "said" not in row:
            values = [f"{v:.2g}" if isinstance(v, float) else f"{v:,}" for v in (row[c] for c in COLUMNS)]
            shown.add_row(name, *values, *(str(row[c]) for c in CHECKS))
    return shown


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("names", nargs="*", help="such as torchvision:resnet18 or timm:dla34; all if none are given")
    parser.add_argument("--size", type=number(Size), default=128, help="height and width of the images in pixels")
    parser.add_argument("--transforms", type=number(Count), default=2, help="random transforms of each network")
    arguments = parser.parse_args()
    names = arguments.names or [*(f"torchvision:{n}" for n in TORCHVISION), *(f"timm:{n}" for n in TIMM)]
    warnings.simplefilter("ignore")  # the networks' own, of weights that nobody loads
    rows = []
    for full in names:
        source, _, name = full.partition(":")
        try:
            row = measure(source, name, SIZES.get(name, arguments.size), arguments.transforms)
        except Exception as error:  # a failure is a row
            row = {"said": f"{type(error).__name__}: {error}", "targets": False}
        print_row("modules", network=full, **row)
        rows.append((full, row))
    console = Console(stderr=True, width=WIDTH)
    console.print(table(rows))
    missed = [name for name, row in rows if not row["targets"]]
    if missed:
        console.print(f"targets missed: {', '.join(missed)}")
        sys.exit(1)


if __name__ == "__main__":
    run(main)
