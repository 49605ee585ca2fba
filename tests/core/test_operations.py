"""The vocabulary, and the stages of its operations."""

from __future__ import annotations

import pytest

from natrl.core.operations import Convolution, Cost, Operation, operation, stages, VOCABULARY


def test_stages_apply_a_separable_convolution_twice_and_a_dilated_one_once() -> None:
    depthwise, pointwise = Convolution(8, 8, (5, 5), (2, 2), 1, 8), Convolution(8, 8, (1, 1))
    assert stages("sep_conv_5x5", 8, 2) == (
        (depthwise, pointwise),
        (depthwise._replace(stride=(1, 1)), pointwise),
    )
    assert stages("dil_conv_5x5", 8, 2) == ((depthwise._replace(dilation=2), pointwise),)
    assert stages("skip_connect", 8, 1) == ()


def test_names_and_operations_correspond() -> None:
    for name, op in VOCABULARY.items():
        assert op.name == name
        assert operation(name) is op
    assert operation("sep_conv_3x3") == Operation(type="sep_conv", kernel=3)
    assert operation("none") == operation("null")


def test_the_vocabulary_is_append_only() -> None:
    """Saved policies hold indices into it: a changed order would silently change what they read."""
    assert list(VOCABULARY) == [
        *(f"{kind}_{k}x{k}" for kind in ("conv", "sep_conv", "dil_conv", "max_pool", "avg_pool") for k in (7, 5, 3)),
        *("conv_1x1", "skip_connect", "null", "conv_1x3_3x1", "conv_1x7_7x1", "max_pool_2x2", "avg_pool_2x2"),
        *("low_rank_2", "low_rank_4", "low_rank_8", "block"),
        *("channels", "channels_3_4", "channels_1_2", "channels_1_4"),
    ]


def test_cost_is_a_partial_order() -> None:
    assert Cost(1, 2) <= Cost(1, 3)
    assert not Cost(1, 2) <= Cost(2, 1)
    assert not Cost(2, 1) <= Cost(1, 2)
    assert Cost.total([Cost(1, 2), Cost(3, 4)]) == Cost(4, 6)
    assert Cost.total([]) == Cost(0, 0)


@pytest.mark.parametrize("name", ["conv_4x4", "", "Conv_3x3", "skip", None, ["null"]])
def test_an_unknown_operation_lists_the_known_ones(name: object) -> None:
    with pytest.raises(ValueError, match=r"unknown operation .*known: conv_7x7, .*sep_conv_3x3.*null"):
        operation(name)  # type: ignore[arg-type]
