"""What benchmarks/modules.py asks of each network."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from _modules_networks import Network, settled
from torch import nn, Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

import natrl
from natrl.export.module_code import module_code
from natrl.modules import ModuleSpace
from natrl.report.moves import moves_of

__all__ = ["checks"]

MADDS = 0.001  # relative difference
FASTER = {"torchvision:resnet50": 5.0}  # seconds
SECONDS = 10.0  # to import any other


def checks(network: Network, n: int) -> Iterator[dict[str, Any]]:
    """Parts of its row, as they are known: n random transforms are tried."""
    shape = network.shapes()[0]
    (image,) = network.inputs(shape, 1, training=False)
    model = network.make()
    original, start = deepcopy(model), time.thread_time()
    space = natrl.from_module(model, image)
    seconds = time.thread_time() - start
    found = moves_of(space, "nat++")
    madds, counted = space.cost(space.architecture).madds, flops(original, image)
    pooled = [s for s in space.slots if s.operation.endswith(("pool_2x2", "pool_3x3", "pool_5x5", "pool_7x7"))]
    share = found.movable.madds / madds
    yield {
        "layers": sum(isinstance(m, nn.modules.conv._ConvNd | nn.Linear) for m in model.modules()),
        "slots": len(space.slots) - len(pooled),
        "poolings": len(pooled),
        "wires": space.n_slots - len(space.slots),
        "seconds": seconds,
        "moves": sum(len(slot.moves) for slot in found.slots),
        "moving": sum(bool(slot.moves) for slot in found.slots),
        "movable": share,
        "smallest": space.cost(found.smallest["madds"]).madds / madds,
        "madds": madds,
        "off": abs(madds - counted) / counted,
        "stays": "" if share >= 0.5 else stays(space),
    }
    identical = [is_identical(space, original, network, training=training) for training in (False, True)]
    yield {"identical": identical[0], "identical_training": identical[1]}
    shapes = [shape] + [other for other in network.shapes()[1:] if takes(original, network, other)]
    said = list(transforms(space, network, shapes, n))
    yield {
        "transforms": f"{sum(not why for why in said)}/{n}",
        "failed": next((why for why in said if why), ""),
        "sizes": ["×".join(map(str, s[1:])) for s in shapes],
    }
    yield {
        "targets": all(identical)
        and abs(madds - counted) <= MADDS * counted
        and not any(said)
        and seconds <= FASTER.get(network.full, SECONDS)
    }
    yield {"code": code_of(space, image)}


def stays(space: ModuleSpace) -> str:
    """Why most of a network has no move: the most frequent reason, numbers and names left out."""
    reasons = Counter(re.sub(r"'[^']*'|\b\d+\b", "…", why) for why in space.frozen.values())
    return "; ".join(f"{count} layers: {why}" for why, count in reasons.most_common(1))


def flops(model: nn.Module, image: Tensor) -> int:
    """MAdds of one image as torch counts them, in evaluation mode.

    It does not count attention that it runs as one operation.
    """
    model = settled(deepcopy(model)).requires_grad_(False).eval()  # its hooks fail on views of what requires a gradient
    torch.backends.mha.set_fastpath_enabled(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(image)
    torch.backends.mha.set_fastpath_enabled(True)
    return counter.get_total_flops() // 2


def takes(model: nn.Module, network: Network, shape: tuple[int, ...]) -> bool:
    """Whether a network runs on inputs of that shape at all."""
    try:
        with torch.no_grad():
            model.eval()(*network.inputs(shape, 1, training=False))
    except Exception:  # of the network's own code
        return False
    return True


def outputs(model: nn.Module, given: tuple[Any, ...], *, training: bool) -> list[Tensor]:
    """All that a network gives, and its running statistics after it, with the same random numbers."""
    torch.manual_seed(1)
    with torch.no_grad():
        found = model.train(training)(*given)
    return [*(t for t in tree_leaves(found) if isinstance(t, Tensor)), *model.buffers()]


def is_identical(space: ModuleSpace, original: nn.Module, network: Network, *, training: bool) -> bool:
    given = network.inputs(network.shapes()[0], 2, training=training)
    first = outputs(deepcopy(original), given, training=training)
    second = outputs(space.build(space.architecture), given, training=training)
    return all(torch.equal(a, b) or bool(a.isnan().all()) for a, b in zip(first, second, strict=True))


def transforms(space: ModuleSpace, network: Network, shapes: list[tuple[int, ...]], n: int) -> Iterator[str]:
    """Of each of n random legal transforms what is wrong with it: nothing, as a rule.

    It runs, costs no more, costs what torch counts, and trains on inputs of each of these shapes.
    """
    for architecture in space.samples(np.random.default_rng(0), n):
        try:
            model = space.build(architecture)
            yield miscounted(space, network, architecture, model, shapes[0]) or untrainable(network, model, shapes)
        except Exception as error:  # of the network's own code, or natrl's: a row says so
            yield f"{type(error).__name__}: {error}".splitlines()[0]


def miscounted(
    space: ModuleSpace, network: Network, architecture: natrl.Architecture, model: nn.Module, shape: tuple[int, ...]
) -> str:
    """What of a transform's costs is not as promised."""
    (image,) = network.inputs(shape, 1, training=False)
    cost, params, madds = space.cost(architecture), sum(p.numel() for p in model.parameters()), flops(model, image)
    if params != cost.params or abs(madds - cost.madds) > MADDS * cost.madds:
        return f"costs {params:,} parameters and {madds:,} MAdds, not {cost.params:,} and {cost.madds:,}"
    if not cost <= space.cost(space.architecture):
        return "costs more than the original"
    return "" if space.check(architecture).is_live else "is not live"


def untrainable(network: Network, model: nn.Module, shapes: list[tuple[int, ...]]) -> str:
    """Which inputs it gives other than numbers for, forward and backward."""
    for shape in shapes:
        found = model.train()(*network.inputs(shape, 2, training=True))
        given = [t for t in tree_leaves(found) if isinstance(t, Tensor) and t.is_floating_point()]
        torch.stack([t.square().mean() for t in given]).sum().backward()
        if not all(bool(t.isfinite().all()) for t in given):
            return f"gives what is not a number on inputs of shape {shape}"
    return ""


def code_of(space: ModuleSpace, images: Tensor) -> int | str:
    """Lines of code of a random transform, or why there is none."""
    try:
        code = module_code(space.build(space.sample(np.random.default_rng(1))), images)
    except ValueError as error:
        return str(error)
    return len(code.splitlines())
