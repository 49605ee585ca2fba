"""Replacements keep a layer's place: hand-derived geometry and costs, and every shape by trying."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from natrl.core.operations import Cost, VOCABULARY
from natrl.modules.replace.geometry import geometry_of, Window
from natrl.modules.replace.held import operation_of
from natrl.modules.replace.replacements import replacement, replacement_cost
from natrl.modules.replace.stand_ins import Zeros

CONVOLUTIONS = [name for name, op in VOCABULARY.items() if "conv" in op.type]
REPLACEMENTS = [*CONVOLUTIONS, "max_pool_3x3", "avg_pool_3x3", "avg_pool_5x5", "max_pool_2x2", "skip_connect", "null"]


@pytest.mark.parametrize(
    ("window", "kernel", "dilation", "padding"),
    [
        (Window(3, 1, 1, 1, 1), 1, 1, (0, 0)),  # p' = 1 + (0 − 2)/2
        (Window(3, 1, 1, 0, 0), 1, 1, (-1, -1)),  # without padding the border is cropped
        (Window(5, 2, 1, 2, 2), 3, 1, (1, 1)),
        (Window(3, 1, 1, 1, 1), 3, 2, (2, 2)),  # p' = 1 + (4 − 2)/2
        (Window(3, 2, 2, 2, 2), 3, 1, (1, 1)),
        (Window(11, 4, 1, 2, 2), 5, 2, (1, 1)),  # p' = 2 + (8 − 10)/2
        (Window(7, 2, 1, 3, 3), 3, 2, (2, 2)),
        (Window(2, 2, 1, 0, 0), 1, 1, (0, -1)),  # an even kernel reaches one pixel further after its centre
        (Window(2, 2, 1, 0, 0), 3, 1, (1, 0)),
    ],
)
def test_padding_of_another_kernel(window: Window, kernel: int, dilation: int, padding: tuple[int, int]) -> None:
    new = window.with_kernel(kernel, dilation)
    assert (new.before, new.after) == padding
    assert all(new.output(size) == window.output(size) for size in range(1, 40))
    assert new.with_kernel(window.kernel, window.dilation) == window


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # torch's remark on the layer itself
@settings(max_examples=60, deadline=None)
@given(
    kernel=st.one_of(st.integers(1, 5).map(lambda k: (k, k)), st.tuples(st.integers(1, 5), st.integers(1, 5))),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.one_of(st.just("same"), st.just("valid"), st.tuples(st.integers(0, 4), st.integers(0, 4))),
    mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    channels=st.sampled_from([(1, 6), (4, 4), (6, 4)]),
    grouped=st.booleans(),
    bias=st.booleans(),
    size=st.tuples(st.integers(9, 14), st.integers(9, 14)),
    operation=st.sampled_from(REPLACEMENTS),
)
def test_every_replacement_of_a_convolution_keeps_its_shape_and_costs_what_is_counted(
    kernel, stride, dilation, padding, mode, channels, grouped, bias, size, operation
) -> None:
    if padding == "same":
        stride = (1, 1)
    groups = math.gcd(*channels) if grouped else 1
    layer = nn.Conv2d(*channels, kernel, stride, padding, dilation, groups, bias, mode)
    x = torch.randn(2, channels[0], *size)
    try:
        expected, cost = layer(x), replacement_cost(layer, operation, *size)
        module = replacement(layer, operation)
    except (ValueError, RuntimeError):  # a refusal, or a map too small for the layer itself
        return
    with FlopCounterMode(display=False) as counter:
        out = module(x)
    assert out.shape == expected.shape
    assert torch.isfinite(out).all()
    assert cost == Cost(sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2 // len(x))


@settings(max_examples=60, deadline=None)
@given(
    before=st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]),
    kernel=st.sampled_from([2, 3, 5]),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    ceil=st.booleans(),
    operation=st.sampled_from(["max_pool_3x3", "avg_pool_3x3", "avg_pool_2x2", "max_pool_5x5", "skip_connect", "null"]),
    size=st.integers(7, 13),
)
def test_every_replacement_of_a_pooling_keeps_its_shape(before, kernel, stride, padding, ceil, operation, size) -> None:
    layer = before(kernel, stride, min(padding, kernel // 2), ceil_mode=ceil)
    try:
        module = replacement(layer, operation)
    except ValueError:
        return
    assert module(torch.randn(1, 2, size, size)).shape == layer(torch.randn(1, 2, size, size)).shape
    assert replacement_cost(layer, operation, size, size) == Cost()


@pytest.mark.parametrize("operation", REPLACEMENTS)
def test_a_usual_convolution_can_become_everything(operation: str) -> None:
    """That the property tests do not refuse all they see."""
    assert replacement(nn.Conv2d(8, 8, 3, padding=1), operation)(torch.ones(1, 8, 5, 5)).shape == (1, 8, 5, 5)
    if operation != "skip_connect":
        assert replacement(nn.Conv2d(8, 8, 5, 2), operation)(torch.ones(1, 8, 9, 9)).shape == (1, 8, 3, 3)


@pytest.mark.parametrize(
    ("operation", "cost"),
    [  # 16 → 32 channels, stride 2, 8×8 → 4×4, with bias; weights · 16 pixels
        ("conv_3x3", Cost(16 * 32 * 9 + 32, 16 * 32 * 9 * 16)),
        ("conv_1x1", Cost(16 * 32 + 32, 16 * 32 * 16)),
        ("dil_conv_3x3", Cost(16 * 9 + 16 * 32 + 32, (16 * 9 + 16 * 32) * 16)),
        (  # depthwise, pointwise, batch-norm; depthwise, pointwise
            "sep_conv_3x3",
            Cost(2 * 16 * 9 + 16 * 16 + 2 * 16 + 16 * 32 + 32, (2 * 16 * 9 + 16 * 16 + 16 * 32) * 16),
        ),
        # 1×3 halves the columns only: 8×4 pixels; then 3×1
        ("conv_1x3_3x1", Cost(16 * 16 * 3 + 16 * 32 * 3 + 32, 16 * 16 * 3 * 32 + 16 * 32 * 3 * 16)),
        ("null", Cost()),
    ],
)
def test_cost_by_hand(operation: str, cost: Cost) -> None:
    assert replacement_cost(nn.Conv2d(16, 32, 3, stride=2, padding=1), operation, 8, 8) == cost


@pytest.mark.parametrize("size", [7, 8])
def test_kernels_stay_centred(size: int) -> None:
    """A 5×5 kernel whose border is zero is the 3×3 kernel in it, with the padding that the rule gives, or a crop."""
    for padding in (0, 1, 2, 3):
        layer = nn.Conv2d(2, 3, 5, 2, padding)
        smaller = replacement(layer, "conv_3x3")
        inner = smaller if isinstance(smaller, nn.Conv2d) else smaller[-1]
        with torch.no_grad():
            layer.weight.zero_()[:, :, 1:4, 1:4] = inner.weight
            layer.bias.copy_(inner.bias)
        x = torch.randn(1, 2, size, size)
        torch.testing.assert_close(smaller(x), layer(x))


def test_poolings_neither_count_nor_see_the_outside() -> None:
    """Padding above half the kernel, which torch's poolings refuse: by hand on a row of pixels."""
    layer = nn.Conv2d(1, 1, 3, padding=2)
    x = -torch.arange(1.0, 5.0).reshape(1, 1, 1, 4)
    assert replacement(layer, "max_pool_3x3")(x)[0, 0, 1].tolist() == [-1, -1, -1, -2, -3, -4]
    assert replacement(layer, "avg_pool_3x3")(x)[0, 0, 1].tolist() == [-1, -1.5, -2, -3, -3.5, -4]


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (nn.Conv2d(3, 8, 3, 2, 1, 2), "conv_3x3"),
        (nn.Conv2d(3, 8, 1), "conv_1x1"),
        (nn.Conv2d(8, 8, 3, groups=8), "conv_3x3"),
        (nn.Conv2d(3, 8, (1, 6)), "conv_7x7"),
        (nn.Conv2d(3, 8, 2), "conv_3x3"),
        (nn.Conv2d(3, 8, 11), "conv_7x7"),
        (nn.LazyConv2d(8, 3), None),
        (nn.MaxPool2d(3, 2, 1), "max_pool_3x3"),
        (nn.MaxPool2d(3, return_indices=True), None),
        (nn.MaxPool2d(3, dilation=2), None),
        (nn.AvgPool2d(2), "avg_pool_2x2"),
        (nn.AvgPool2d(2, divisor_override=1), None),
        (nn.AdaptiveAvgPool2d(2), None),
    ],
)
def test_operation_of(layer: nn.Module, name: str | None) -> None:
    assert operation_of(layer) == name


@pytest.mark.parametrize(
    ("layer", "operation", "reason"),
    [
        (nn.Conv2d(4, 8, 3, padding=1), "skip_connect", "as many output as input channels, got 4 → 8"),
        (nn.Conv2d(4, 8, 3, padding=1), "avg_pool_3x3", "as many output as input channels, got 4 → 8"),
        (nn.Conv2d(4, 4, 3), "skip_connect", "an output as large as the input"),
        (nn.Conv2d(4, 4, 3, 2, 1), "skip_connect", "needs stride 1"),
        (nn.Conv2d(4, 4, 3, groups=2), "sep_conv_3x3", "a dense convolution's place, and this one has 2 groups"),
        (nn.Conv2d(4, 4, 5, padding=4), "max_pool_3x3", "outside the image"),
        (nn.MaxPool2d(3), "conv_1x1", "a pooling becomes another pooling, skip_connect or null, not conv_1x1"),
        (nn.MaxPool2d(5, 2, ceil_mode=True), "max_pool_3x3", "ceil_mode"),
        (nn.MaxPool2d(3, 2, ceil_mode=True), "null", "ceil_mode"),
        (nn.MaxPool2d(3, return_indices=True), "null", "indices"),
        (nn.GRU(4, 4), "conv_1x1", "a GRU has no replacement but null"),
        (nn.Conv1d(4, 4, 3), "conv_1x3_3x1", "goes along rows, then along columns, and a Conv1d has others"),
        (nn.Linear(4, 4), "sep_conv_3x3", "a linear layer reads no neighbours"),
        (nn.Linear(4, 8), "skip_connect", "as many output as input channels, got 4 → 8"),
        (nn.Linear(4, 4), "low_rank_2", "low_rank_2 saves nothing: 4 → 2 → 4 channels have as many weights as 4 → 4"),
        (nn.Conv2d(4, 8, 3), "low_rank_2", "a dense 1×1 convolution or of a linear layer, and this one is conv_3x3"),
        (nn.Conv2d(4, 8, 1, groups=2), "low_rank_4", "and this one is conv_1x1 in 2 groups"),
        (nn.MultiheadAttention(4, 2), "skip_connect", "a MultiheadAttention has no replacement but null"),
        (nn.Conv2d(4, 4, 3), "conv_9x9", "unknown operation 'conv_9x9'"),
    ],
)
def test_refusals_say_why(layer: nn.Module, operation: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        replacement(layer, operation)
    with pytest.raises(ValueError, match=reason):
        replacement_cost(layer, operation, 8, 8)


def test_padding_that_the_map_cannot_give_is_refused() -> None:
    layer = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
    assert replacement_cost(layer, "dil_conv_3x3", 3, 3).madds > 0  # two pixels of padding, two others to reflect
    with pytest.raises(ValueError, match=r"reflect padding of 2 pixels does not fit a map of 2×2"):
        replacement_cost(layer, "dil_conv_3x3", 2, 2)


def test_dtype_and_mode_are_the_layers() -> None:
    layer = nn.Conv2d(4, 4, 3, padding=1, bias=False).double().eval()
    module = replacement(layer, "sep_conv_3x3")
    assert {p.dtype for p in module.parameters()} == {torch.float64}
    assert not module.training
    assert [type(m) for m in module] == [nn.Conv2d, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d, nn.Conv2d]
    assert [m.bias for m in module if isinstance(m, nn.Conv2d)] == [None] * 4
    assert geometry_of(module[0]).keeps_size
    zeros = replacement(layer, "null")
    assert isinstance(zeros, Zeros)
    assert zeros(torch.ones(4, 5, 6, dtype=torch.float64)).dtype == torch.float64
