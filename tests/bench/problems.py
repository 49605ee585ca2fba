"""A made-up benchmark of all 15,625 architectures, whose report is not its signal."""

from __future__ import annotations

from functools import cache

import numpy as np

import natrl
from natrl.bench import Split, split
from natrl.bench.trained import TrainedTable
from natrl.core.architecture import Architecture
from natrl.spaces import Space

SPACE = natrl.space("nasbench201")
WORTH = {"conv_3x3": 0.8, "conv_1x1": 0.5, "avg_pool_3x3": -0.3, "skip_connect": 0.2, "null": 0.0}


@cache
def made_up(data_set: str = "tiny", signal_name: str | None = None) -> TrainedTable:
    """Convolutions help, but not in both of two slots; dead ones have 0.1. Signal and report have own noise."""
    rng = np.random.default_rng(3)
    sides = {
        side: {a: _accuracy(a, float(rng.normal(0, 0.01))) for a in SPACE.architectures()}
        for side in ("signal", "report")
    }
    return TrainedTable(data_set, **sides, signal_name=signal_name)


def _accuracy(architecture: Architecture, noise: float) -> float:
    if not architecture.is_live:
        return 0.1
    ops = architecture.operations
    clash = ops[3].startswith("conv") and ops[5].startswith("conv")
    return float(np.clip(0.4 + sum(WORTH[op] for op in ops) / 12 - 0.1 * clash + noise, 0, 1))


def thin(space: Space, seed: int) -> Split:
    """A split with a tenth of the held-out architectures, so that methods end soon."""
    whole = split(space, seed)
    return Split(whole.training, whole.held_out[::10])
