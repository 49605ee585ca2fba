"""What could become of a network, against sums by hand and an independent loop over all that is reachable."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn, Tensor

from natrl.core.connectivity import live_slots
from natrl.modules.importing import from_module
from natrl.report.moves import moves_of
from natrl.spaces import Batch
from tests.report.test_tables import printed


class Net(nn.Module):
    """3×8×8 images; a stem with moves, a residual branch, depthwise convolutions, and one without a move."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.branch = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.depthwise1 = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        self.point = nn.Conv2d(4, 8, 1, groups=2, bias=False)
        self.depthwise2 = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.pool1, self.pool2 = nn.AdaptiveAvgPool2d(8), nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = self.depthwise1((x + self.branch(x)).relu())
        return self.head(self.pool2(self.depthwise2(self.point(self.pool1(x)))).flatten(1))


# Parameters of the layers; MAdds are 64 times that, but of the head.
STEM, BRANCH, DEPTHWISE, POINT, HEAD = 3 * 4 * 9, 4 * 4 * 9, 4 * 9 + 8 * 9, 4 * 8 // 2, 8 * 10 + 10
PARAMS = STEM + BRANCH + DEPTHWISE + POINT + HEAD
MADDS = 64 * (STEM + BRANCH + DEPTHWISE + POINT) + 80


def test_shares_and_the_smallest_cost_by_hand() -> None:
    found = moves_of(from_module(Net(), torch.zeros(1, 3, 8, 8))).to_dict()
    assert (found["params"], found["madds"]) == (PARAMS, MADDS)
    movable = STEM + BRANCH + DEPTHWISE
    assert found["share"] == {"params": (movable + HEAD) / PARAMS, "madds": (64 * movable + 80) / MADDS}
    for smallest in found["smallest"].values():
        assert smallest["operations"]["stem"] == "conv_1x1"
        assert smallest["operations"]["head"] == "low_rank_8"  # of rank 1: 8 weights and 10
        assert smallest["params"] == PARAMS - movable + 3 * 4 - 80 + 18
        assert smallest["madds"] == MADDS - 64 * (movable - 3 * 4) - 80 + 18
    moves = {slot["name"]: slot["moves"] for slot in found["slots"]}
    assert moves["stem"] == ("sep_conv_3x3", "dil_conv_3x3", "conv_1x1")
    assert {"null", "skip_connect", "avg_pool_3x3", "conv_1x1"} <= {*moves["branch"]}
    assert moves["point"] == ()
    assert moves["head"] == ("low_rank_2", "low_rank_4", "low_rank_8")
    assert moves["depthwise2"] == ("dil_conv_3x3", "max_pool_3x3", "avg_pool_3x3", "conv_1x1", "skip_connect")
    assert {slot["layer"] for slot in found["slots"]} == {
        "conv_3x3",
        "linear",
        "conv_1x1 in 2 groups",
        "conv_3x3 in 4 groups",
        "conv_3x3 in 8 groups",
    }
    assert found["frozen"].keys() == {"pool1", "pool2"}


def test_nothing_that_can_be_reached_costs_less() -> None:
    space = from_module(Net(), torch.zeros(1, 3, 8, 8))
    mask = space.masks(space.architecture)
    every = np.array([*product(*(row.nonzero()[0] for row in mask))])
    batch = Batch.of(space, [space.architecture]).take(np.zeros(len(every), dtype=np.int64)).with_choices(every)
    live = live_slots(every != space.primitives.index("null"), batch.topologies.wiring).any(1)
    pruned = space.pruned(batch)
    costs = space.costs_of(pruned.choices, pruned.topologies)[live]
    found = moves_of(space).smallest
    for i, kind in enumerate(("params", "madds")):
        assert getattr(space.cost(found[kind]), kind) == costs[:, i].min()


def test_a_reason_is_told_once_with_its_layers() -> None:
    found = moves_of(from_module(Net(), torch.zeros(1, 3, 8, 8)))
    text = " ".join(printed(found.tables("Net"), 200).split())
    assert "pool[1,2] (2) its type is AdaptiveAvgPool2d, and only torch's own" in text
    assert "point skip_connect needs an output like the input, got 4×8×8 → 8×8×8; null needs nothing but" in text
    assert "conv_3x3 → sep_conv_3x3, dil_conv_3x3, conv_1x1" in text
    share = (64 * (STEM + BRANCH + DEPTHWISE) + 80) / MADDS
    assert f"5 of 6 slots have moves, in them are {share:.1%} of the MAdds" in text
    assert "no rule" not in text


def test_a_rule_under_which_less_moves() -> None:
    space = from_module(Net(), torch.zeros(1, 3, 8, 8))
    found = moves_of(space, "nat")
    assert {s.slot.name: set(s.moves) for s in found.slots} == {
        "stem": set(),
        "branch": {"skip_connect", "null"},
        "depthwise1": {"skip_connect"},
        "depthwise2": {"skip_connect"},
        "point": set(),
        "head": set(),
    }
    assert found.to_dict()["share"]["params"] == (BRANCH + DEPTHWISE) / PARAMS
    with pytest.raises(ValueError, match="unknown rule 'nut'; known: nat, nat"):
        moves_of(space, "nut")  # type: ignore[arg-type]
