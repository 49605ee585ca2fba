"""Costs against the papers' table and against sums done by hand."""

from __future__ import annotations

import pytest

from natrl.core.operation_costs import network_operation_cost, operation_cost
from natrl.core.operations import Cost, PRIMITIVES

# NAT++ (arXiv 2102.10301), C = 128 in and out, 32×32, stride 1: MAdds in millions, parameters in thousands.
PUBLISHED = {
    "conv_5x5": (419.4, 409.6),
    "conv_3x3": (151.0, 147.5),
    "sep_conv_5x5": (40.1, 39.2),
    "sep_conv_3x3": (35.9, 35.1),
    "dil_conv_5x5": (20.1, 19.6),
    "dil_conv_3x3": (18.0, 17.5),
    "conv_1x1": (16.8, 16.4),
    "max_pool_5x5": (3.3, 0.0),
    "avg_pool_5x5": (3.3, 0.0),
    "max_pool_3x3": (1.2, 0.0),
    "avg_pool_3x3": (1.2, 0.0),
    "skip_connect": (0.1, 0.0),
    "null": (0.0, 0.0),
}

# By hand: 16 channels, 8×8 in, 4×4 = 16 positions out.
STRIDE_2 = {
    "conv_3x3": Cost(16 * 16 * 9, 16 * 16 * 9 * 16),
    "conv_1x1": Cost(256, 256 * 16),
    "sep_conv_3x3": Cost(2 * (16 * 9 + 256), 2 * (16 * 9 + 256) * 16),
    "dil_conv_5x5": Cost(16 * 25 + 256, (16 * 25 + 256) * 16),
    "skip_connect": Cost(2 * 16 * 8, 2 * 16 * 8 * 16),  # a factorized reduction: two 1×1 convolutions to 8 channels
    "max_pool_3x3": Cost(0, 9 * 16 * 16),
    "avg_pool_2x2": Cost(0, 4 * 16 * 16),
    # 1×3 with stride (1, 2) gives 8×4 positions, 3×1 with stride (2, 1) then 4×4.
    "conv_1x3_3x1": Cost(2 * 256 * 3, 256 * 3 * (32 + 16)),
    "null": Cost(0, 0),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_costs_equal_the_papers_table_to_its_printed_digits(name: str) -> None:
    cost = operation_cost(name)
    assert (round(cost.madds / 1e6, 1), round(cost.params / 1e3, 1)) == PUBLISHED[name]


def test_the_papers_table_covers_all_primitives() -> None:
    assert set(PUBLISHED) == set(PRIMITIVES)


@pytest.mark.parametrize("name", STRIDE_2)
def test_costs_with_stride_2(name: str) -> None:
    assert operation_cost(name, channels=16, height=8, width=8, stride=2) == STRIDE_2[name]


def test_odd_sizes_round_up() -> None:
    assert operation_cost("conv_1x1", channels=2, height=7, width=5, stride=2) == Cost(4, 4 * 4 * 3)
    # The halves of a factorized reduction of 5 channels have 2 and 3 output channels.
    assert operation_cost("skip_connect", channels=5, height=4, width=4, stride=2) == Cost(5 * 2 + 5 * 3, 25 * 4)


@pytest.mark.parametrize(
    ("name", "stride", "norms"),
    [("conv_3x3", 1, 1), ("sep_conv_3x3", 2, 2), ("skip_connect", 2, 1), ("conv_1x3_3x1", 1, 1)],
)
def test_a_network_counts_batch_norms_too(name: str, stride: int, norms: int) -> None:
    bare = operation_cost(name, channels=16, height=8, width=8, stride=stride)
    assert network_operation_cost(name, 16, 8, 8, stride) == bare + Cost(norms * 2 * 16, 0)


@pytest.mark.parametrize("name", ["max_pool_3x3", "avg_pool_5x5", "skip_connect", "null"])
def test_what_has_no_convolution_is_free_in_a_network(name: str) -> None:
    assert network_operation_cost(name, 16, 8, 8, 1) == Cost()


@pytest.mark.parametrize("sizes", [{"channels": 0}, {"height": -1}, {"width": 0}, {"stride": 0}, {"channels": 1.5}])
def test_impossible_sizes_are_refused(sizes: dict) -> None:
    (label,) = sizes
    with pytest.raises(ValueError, match=f"{label} must be a whole number of at least 1"):
        operation_cost("conv_3x3", **sizes)
