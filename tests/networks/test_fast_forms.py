"""The fast forms of convolutions and poolings equal torch's own, values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from natrl.core.operations import Convolution
from natrl.networks.dilated import dilated_depthwise, DilatedDepthwise
from natrl.networks.functional import batch_norm, convolve, factorized_reduction, global_average, LARGE
from natrl.networks.operations import FactorizedReduction
from natrl.networks.pooling import fast_pool, pool
from natrl.networks.subsample import subsample

SIZES = [(8, 8), (6, 10), (7, 7), (5, 8), (1, 1)]


class Dilations(TorchDispatchMode):
    """Notes the dilation of every convolution that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution.default:
            self.seen.append(max(args[5]))
        return func(*args, **(kwargs or {}))


def gradients(f: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Output, and the gradients for x and weight."""
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    out = f(x, weight)
    out.backward(torch.linspace(-1, 1, out.numel()).view(out.shape))
    assert x.grad is not None
    assert weight.grad is not None
    return out.detach(), x.grad, weight.grad


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_dilated(size: tuple[int, int], kernel: int, stride: int, layout: torch.memory_format):
    x = torch.randn(3, 4, *size).contiguous(memory_format=layout)
    weight = torch.randn(4, 1, kernel, kernel)
    found = gradients(lambda a, w: dilated_depthwise(a, w, stride), x, weight)
    wanted = gradients(lambda a, w: F.conv2d(a, w, None, stride, kernel - 1, 2, 4), x, weight)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert found[0].is_contiguous(memory_format=layout)


@pytest.mark.parametrize("stride", [1, 2])
def test_dilated_is_fast_in_training_only(stride: int):
    module = DilatedDepthwise(4, 3, stride)
    x = torch.randn(2, 4, 8, 8)
    with Dilations() as training:
        module(x)
    with torch.no_grad(), Dilations() as evaluation:
        module(x)
    assert (training.seen, evaluation.seen) == ([1], [2])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("first", [0, 1])
def test_subsample(size: tuple[int, int], first: int):
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    assert torch.equal(subsample(x, first), x[:, :, first::2, first::2])
    if subsample(x, first).numel():
        assert torch.autograd.gradcheck(lambda a: subsample(a, first), (x,))


@pytest.mark.parametrize("type", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("kernel", [2, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_pooling(type: str, kernel: int, stride: int):
    for size in [*SIZES, (16, 16), (3, 20)]:
        x = torch.randn(2, 3, *size).contiguous(memory_format=torch.channels_last)
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        trained, wanted = fast_pool(a, type, kernel, stride), pool(b, type, kernel, stride)
        torch.testing.assert_close(trained, wanted, atol=1e-6, rtol=1e-6)
        trained.square().sum().backward()
        wanted.square().sum().backward()
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-5)
        with torch.inference_mode():
            torch.testing.assert_close(fast_pool(x, type, kernel, stride), wanted.detach(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "conv",
    [
        Convolution(4, 6, (1, 1)),
        Convolution(4, 6, (1, 1), (2, 2)),
        Convolution(4, 6, (3, 3), (2, 2)),
        Convolution(4, 6, (1, 7), (1, 2)),
        Convolution(4, 4, (5, 5), groups=4),
        Convolution(4, 4, (3, 3), (2, 2), dilation=2, groups=4),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_convolve(conv: Convolution, size: tuple[int, int]):
    x = torch.randn(2, 4, *size).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(conv.out_channels, conv.in_channels // conv.groups, *conv.kernel)
    padding = [conv.dilation * (k // 2) for k in conv.kernel]
    found = gradients(lambda a, w: convolve(a, w, conv), x, weight)
    plain = x.contiguous()  # natrl.training.thin says why
    wanted = gradients(
        lambda a, w: F.conv2d(a, w, None, conv.stride, padding, conv.dilation, conv.groups), plain, weight
    )
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_factorized_reduction(size: tuple[int, int]):
    module = FactorizedReduction(4, 5).eval()
    x = torch.randn(2, 4, *size)
    weights = [convolution.weight.flatten(1) for convolution in module.convolutions]
    torch.testing.assert_close(module.norm(factorized_reduction(F.relu(x), *weights)), module(x))


def test_global_average():
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(global_average(x), x.mean((2, 3)))


@pytest.mark.parametrize(("channels", "images"), [(3, 70), (20, 80), (32, 67)])
def test_batch_norm_of_many_pixels(channels: int, images: int):
    """In evaluation it is as near to the truth as single precision allows, torch's own is not."""
    x = (torch.randn(images, channels, 16, 16) * 2 + 5).contiguous(memory_format=torch.channels_last)
    assert images * 256 >= LARGE
    scale, bias = torch.rand(channels), torch.randn(channels)
    exact = F.batch_norm(x.double(), None, None, scale.double(), bias.double(), training=True)
    before = x.clone()
    with torch.inference_mode():
        ours, theirs = batch_norm(x, scale, bias), F.batch_norm(x, None, None, scale, bias, training=True)
        assert torch.equal(x, before)
        overwritten = batch_norm(before, scale, bias, overwrite=True)
    assert (ours - exact).abs().max() < 1e-5
    assert torch.equal(overwritten, ours)
    assert overwritten.data_ptr() == before.data_ptr()
    assert ours.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(theirs, ours, atol=1e-3, rtol=1e-3)
    assert torch.equal(batch_norm(x, scale.requires_grad_(), bias), theirs)
