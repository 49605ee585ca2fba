"""What a method has to beat: transformations that take no search."""

from __future__ import annotations

import numpy as np

from natrl.core.architecture import Architecture
from natrl.core.operations import VOCABULARY_INDEX
from natrl.modules.space import ModuleSpace

__all__ = ["all_separable", "fewest_replacements"]


def fewest_replacements(space: ModuleSpace, madds: float) -> Architecture:
    """Greedy: the layer that saves most becomes its cheapest operation, as long as the network stays connected."""
    chosen, masks = space.architecture, space.masks(space.architecture)
    columns = [VOCABULARY_INDEX[name] for name in space.primitives]
    costs = np.where(masks, space.cost_table(chosen).slots[:, columns, 1], np.inf)
    for slot in sorted(space.slots, key=lambda s: costs[s.index].min() - s.cost.madds):
        if space.cost(space.prune(chosen)).madds <= madds:
            break
        for k in np.argsort(costs[slot.index], kind="stable"):
            operations = list(chosen.operations)
            operations[slot.index] = space.primitives[k]
            if masks[slot.index, k] and chosen.with_operations(operations).is_live:
                chosen = chosen.with_operations(operations)
                break
    return space.prune(chosen)


def all_separable(space: ModuleSpace) -> Architecture:
    """Every 3×3 convolution that may become a separable one is one."""
    masks, k = space.masks(space.architecture), space.primitives.index("sep_conv_3x3")
    operations = list(space.architecture.operations)
    for slot in space.slots:
        if slot.operation == "conv_3x3" and masks[slot.index, k]:
            operations[slot.index] = "sep_conv_3x3"
    return space.architecture.with_operations(operations)
