"""The slots of architectures, and what changed in them, as pandas frames."""

from __future__ import annotations

import numpy as np
import pandas as pd

from natrl.core.architecture import Architecture
from natrl.core.operations import VOCABULARY_INDEX
from natrl.spaces.networks import Networks

__all__ = ["change_frame", "slot_frame"]


def slot_frame(architecture: Architecture, networks: Networks | None = None) -> pd.DataFrame:
    """One row a slot: cell, source, target, stride, operation, live.

    Where `networks` (a space or a skeleton) says what networks cost, also params and madds, over the whole network.
    """
    frame = pd.DataFrame(architecture.slots, columns=["cell", "source", "target", "stride"])
    frame = frame.assign(operation=architecture.operations, live=architecture.live_slots)
    if networks is not None:
        costs = networks.cost_table(architecture).slots
        indices = [VOCABULARY_INDEX[op] for op in architecture.operations]
        frame[["params", "madds"]] = costs[np.arange(len(indices)), indices]
    return frame


def change_frame(before: Architecture, after: Architecture, networks: Networks | None = None) -> pd.DataFrame:
    """One row a changed slot (index: its number): cell, source, target, before, after.

    With `networks` also what the change saves: params and madds, and as params_share and madds_share of the whole
    network before (a negative saving is a higher cost). ValueError if the topologies differ.
    """
    changed = list(before.changes(after))
    old, new = (slot_frame(version, networks).loc[changed] for version in (before, after))
    frame = old[["cell", "source", "target"]].assign(before=old["operation"], after=new["operation"])
    if networks is not None:
        cost = networks.cost(before)
        for column, total in (("params", cost.params), ("madds", cost.madds)):
            frame[column] = old[column] - new[column]
            frame[f"{column}_share"] = frame[column] / total
    return frame
