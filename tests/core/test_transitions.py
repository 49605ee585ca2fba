"""The two-level rule against the table of NAT++, typed in."""

from __future__ import annotations

import numpy as np
import pytest

from natrl.core.operation_costs import network_operation_cost
from natrl.core.operations import PRIMITIVES, VOCABULARY
from natrl.core.transitions import affordable, Rule, successors, transition_matrix
from natrl.spaces import space

# NAT++ (arXiv 2102.10301): each operation may also stay, become skip_connect, or null.
NAT_PLUS_PLUS = {
    "conv_5x5": "conv_3x3 conv_1x1 sep_conv_5x5 sep_conv_3x3 dil_conv_5x5 dil_conv_3x3 "
    "max_pool_5x5 max_pool_3x3 avg_pool_5x5 avg_pool_3x3",
    "conv_3x3": "conv_1x1 sep_conv_3x3 dil_conv_3x3 max_pool_3x3 avg_pool_3x3",
    "conv_1x1": "",
    "sep_conv_5x5": "sep_conv_3x3 dil_conv_5x5 dil_conv_3x3 max_pool_5x5 max_pool_3x3 avg_pool_5x5 avg_pool_3x3",
    "sep_conv_3x3": "dil_conv_3x3 max_pool_3x3 avg_pool_3x3",
    "dil_conv_5x5": "dil_conv_3x3 max_pool_5x5 max_pool_3x3 avg_pool_5x5 avg_pool_3x3",
    "dil_conv_3x3": "max_pool_3x3 avg_pool_3x3",
    "avg_pool_5x5": "avg_pool_3x3 max_pool_5x5 max_pool_3x3",
    "max_pool_5x5": "max_pool_3x3 avg_pool_5x5 avg_pool_3x3",
    "avg_pool_3x3": "max_pool_3x3",
    "max_pool_3x3": "avg_pool_3x3",
    "skip_connect": "",
    "null": "",
}
NASBENCH201 = {
    "conv_3x3": "conv_1x1 avg_pool_3x3",
    "conv_1x1": "",
    "avg_pool_3x3": "",
    "skip_connect": "",
    "null": "",
}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_the_rule_makes_the_papers_table(name: str) -> None:
    assert set(successors(name)) == {name, *NAT_PLUS_PLUS[name].split(), "skip_connect", "null"}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_nat_allows_staying_skip_and_null_only(name: str) -> None:
    assert set(successors(name, "nat")) == {name, "skip_connect", "null"}


@pytest.mark.parametrize("name", NASBENCH201)
def test_the_rule_on_nasbench201(name: str) -> None:
    expected = {name, *NASBENCH201[name].split(), "skip_connect", "null"}
    assert set(successors(name, primitives=space("nasbench201").primitives)) == expected


def test_seven_by_seven_kernels_start_the_ladder() -> None:
    assert set(successors("sep_conv_7x7", primitives=tuple(VOCABULARY))) == {
        *("sep_conv_7x7", "sep_conv_5x5", "sep_conv_3x3", "dil_conv_7x7", "dil_conv_5x5", "dil_conv_3x3"),
        *(f"{kind}_pool_{k}x{k}" for kind in ("max", "avg") for k in (7, 5, 3)),
        *("skip_connect", "null"),
    }
    assert {"conv_7x7", "conv_5x5", "conv_3x3", "conv_1x1"} <= set(successors("conv_7x7", primitives=tuple(VOCABULARY)))


LOW_RANKS = ("low_rank_2", "low_rank_4", "low_rank_8")


def test_the_ladder_of_low_ranks_goes_down_from_pointwise_convolutions() -> None:
    everything = tuple(VOCABULARY)
    for i, name in enumerate(("conv_1x1", *LOW_RANKS)):
        assert set(successors(name, primitives=everything)) == {name, *LOW_RANKS[i:], "skip_connect", "null"}
        assert set(successors(name, "nat", everything)) == {name, "skip_connect", "null"}
    assert set(LOW_RANKS) <= set(successors("conv_5x5", primitives=everything))
    for name in ("sep_conv_3x3", "max_pool_3x3", "skip_connect", "null", "block"):
        assert not {*LOW_RANKS, "block"} & set(successors(name, primitives=everything)) - {name}


def test_a_block_stays_or_becomes_skip_or_null() -> None:
    assert set(successors("block", primitives=tuple(VOCABULARY))) == {"block", "skip_connect", "null"}
    assert not any("block" in successors(name, primitives=tuple(VOCABULARY)) for name in VOCABULARY if name != "block")


@pytest.mark.parametrize("rule", ["nat", "nat++"])
def test_the_rule_is_transitive(rule: Rule) -> None:
    """Two steps lead nowhere that one step does not, but for a skip, which may become null."""
    matrix = transition_matrix(tuple(VOCABULARY), rule)
    assert (matrix @ matrix == matrix).all()


@pytest.mark.parametrize("name", ["conv_1x3_3x1", "conv_1x7_7x1", "avg_pool_2x2", "max_pool_2x2"])
def test_naonets_own_operations_only_stay_or_become_skip_or_null(name: str) -> None:
    assert set(successors(name, primitives=tuple(VOCABULARY))) == {name, "skip_connect", "null"}
    reachable_from = {old for old in VOCABULARY if name in successors(old, primitives=tuple(VOCABULARY))}
    assert reachable_from == {name}


def test_successors_follow_the_order_of_the_primitives_and_hold_the_operation_itself() -> None:
    assert successors("conv_3x3", primitives=("null", "conv_1x1", "conv_3x3")) == ("null", "conv_1x1", "conv_3x3")
    assert successors("conv_3x3", primitives=("null", "conv_1x1")) == ("conv_3x3", "null", "conv_1x1")
    assert successors("none") == ("skip_connect", "null")


@pytest.mark.parametrize("rule", ["nat", "nat++"])
def test_the_matrix_holds_the_same_rule(rule: Rule) -> None:
    matrix = transition_matrix(PRIMITIVES, rule)
    for row, name in zip(matrix, PRIMITIVES, strict=True):
        assert tuple(p for p, allowed in zip(PRIMITIVES, row, strict=True) if allowed) == successors(name, rule)
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = False


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [1, 2, 3, 5, 16, 36])
def test_affordable_means_no_dearer_at_any_image_size(channels: int, stride: int) -> None:
    names = tuple(VOCABULARY)
    fine = affordable(names, (channels,), stride)
    for size in (1, 4, 7, 15, 32):
        costs = [network_operation_cost(name, channels, size, size, stride) for name in names]
        for i, j in np.argwhere(fine):
            assert costs[j] <= costs[i], f"{names[i]} → {names[j]} at {channels} channels, {size}×{size}, {stride=}"


def test_affordable_holds_at_every_width_given() -> None:
    """A separable 3×3 has more parameters than a plain one at 2 channels and fewer from 3 on."""
    names = ("conv_3x3", "sep_conv_3x3")
    assert not affordable(names, (2,), 1)[0, 1]
    assert affordable(names, (4,), 1)[0, 1]
    assert not affordable(names, (2, 4), 1)[0, 1]


def test_a_skip_with_stride_2_is_not_free() -> None:
    names = ("conv_1x1", "max_pool_3x3", "skip_connect", "null")
    assert affordable(names, (16,), 1)[:, 2].all()
    assert affordable(names, (16,), 2)[:, 2].tolist() == [True, False, True, False]


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown rule 'nat\+'; known: nat, nat\+\+"):
        successors("null", "nat+")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown operation 'conv'; known: "):
        successors("conv")
    with pytest.raises(ValueError, match="unknown operation 'conv'; known: "):
        successors("null", primitives=("conv",))
