"""Modules of operations: shapes, counts, and what they compute by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from natrl.core.operation_costs import network_operation_cost
from natrl.core.operations import VOCABULARY
from natrl.networks.operations import build_operation, FactorizedReduction

BUILT = [
    name for name, op in VOCABULARY.items() if name != "block" and not op.is_width
]  # which a user's network brings


@pytest.mark.parametrize("name", BUILT)
@pytest.mark.parametrize("stride", [1, 2])
def test_shapes_and_counts(name: str, stride: int):
    module = build_operation(name, 6, stride).eval()
    for height, width in ((8, 8), (7, 7), (5, 8), (1, 1)):
        out = module(torch.randn(2, 6, height, width))
        assert out.shape == (2, 6, -(-height // stride), -(-width // stride))
    for size in (8, 7):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(torch.randn(1, 6, size, size))
        cost = network_operation_cost(name, 6, size, size, stride)
        assert counter.get_total_flops() == 2 * cost.madds
        assert sum(p.numel() for p in module.parameters()) == cost.params


def test_unknown_operation():
    with pytest.raises(ValueError, match="unknown operation 'conv_9x9'; known: conv_7x7"):
        build_operation("conv_9x9", 4)
    with pytest.raises(ValueError, match="operation 'block' is a part of a user's own network"):
        build_operation("block", 4)


@pytest.mark.parametrize("size", [4, 5])
def test_factorized_reduction_by_hand(size: int):
    """One channel each from the even and from the odd pixels; zeros come in where there are none."""
    module = FactorizedReduction(1, 2).eval()
    for convolution in module.convolutions:
        nn.init.ones_(convolution.weight)
    module.norm.eps = 0.0
    image = torch.arange(size * size, dtype=torch.float32).reshape(1, 1, size, size) - 3  # some are negative: ReLU
    out = module(image)[0]
    positive = image[0, 0].clamp(min=0)
    assert torch.equal(out[0], positive[::2, ::2])
    half = (size + 1) // 2
    expected = torch.zeros(half, half)
    expected[: size // 2, : size // 2] = positive[1::2, 1::2]
    assert torch.equal(out[1], expected)


@pytest.mark.parametrize("kernel", [2, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [8, 7, 3])
def test_poolings_ignore_what_lies_outside(kernel: int, stride: int, size: int):
    image = torch.full((1, 2, size, size), -2.0)
    for type in ("max_pool", "avg_pool"):
        out = build_operation(f"{type}_{kernel}x{kernel}", 2, stride)(image)
        torch.testing.assert_close(out, torch.full_like(out, -2.0))


def test_even_windows_reach_right_and_below():
    image = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    assert build_operation("max_pool_2x2", 1)(image).flatten().tolist() == [5, 6, 6, 8, 9, 9, 8, 9, 9]
    assert build_operation("max_pool_2x2", 1, 2)(image).flatten().tolist() == [5, 6, 8, 9]
    assert build_operation("avg_pool_2x2", 1)(image).flatten().tolist() == [3, 4, 4.5, 6, 7, 7.5, 7.5, 8.5, 9]
    assert build_operation("avg_pool_2x2", 1, 2)(image).flatten().tolist() == [3, 4.5, 7.5, 9]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", BUILT)
def test_no_weight_is_drawn_that_is_not_the_modules(name: str, stride: int):
    """So that what is trained from a seed stays as it is, however a module is put together."""
    torch.manual_seed(0)
    module = build_operation(name, 4, stride)
    after = torch.get_rng_state()
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.reset_parameters()
    assert torch.equal(after, torch.get_rng_state())


def test_null_and_identity():
    x = torch.randn(2, 3, 5, 5)
    assert build_operation("skip_connect", 3)(x) is x
    assert not build_operation("null", 3, 2)(x).any()


@pytest.mark.parametrize("name", ["sep_conv_3x3", "dil_conv_5x5", "conv_1x3_3x1", "skip_connect"])
def test_gradients_reach_every_parameter(name: str):
    module = build_operation(name, 4, 2)
    module(torch.randn(8, 4, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())
