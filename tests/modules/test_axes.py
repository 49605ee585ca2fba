"""Networks along one axis (audio, text) and three (video), and such that mix them: by the same code as along two."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn, Tensor
from torch.utils.flop_counter import FlopCounterMode

from natrl import from_module
from natrl.core.operations import Cost
from natrl.modules.inherit.least_squares import _patches
from natrl.modules.replace.geometry import of_axes
from natrl.modules.replace.held import description, operation_of
from natrl.modules.replace.replacements import replacement, replacement_cost
from natrl.training.modes import recalibrating

OPERATIONS = ["conv_3x3", "conv_1x1", "sep_conv_3x3", "dil_conv_5x5", "max_pool_3x3", "avg_pool_5x5", "null"]


class Text(nn.Module):
    """Kernels of several widths side by side, their maxima over time (Kim 2014, arXiv 1408.5882)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(50, 16), nn.Linear(36, 4)
        self.widths = nn.ModuleList(nn.Conv1d(16, 12, width) for width in (3, 4, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x).mT
        return self.head(torch.cat([width(x).relu().amax(-1) for width in self.widths], 1))


class Sound(nn.Module):
    """A stem on spectrograms; then dilated convolutions along time, down and up again."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down, self.up = nn.Conv2d(1, 8, 3, padding=1), nn.MaxPool1d(2), nn.ConvTranspose1d(8, 8, 2, 2)
        self.causal, self.norm = nn.Conv1d(8, 8, 3, dilation=2), nn.BatchNorm1d(8)
        self.grouped, self.head = nn.Conv1d(8, 8, 5, padding=2, groups=8, padding_mode="reflect"), nn.Conv1d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu().mean(2)
        x = x + self.norm(self.causal(nn.functional.pad(x, (4, 0))))
        return self.head((x + self.up(self.grouped(self.down(x)))).relu())


class Video(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv3d(2, 8, (3, 5, 5), (1, 2, 2), (1, 2, 2)), nn.BatchNorm3d(8)
        self.space, self.time = (
            nn.Conv3d(8, 8, (1, 3, 3), padding=(0, 1, 1)),
            nn.Conv3d(8, 8, (3, 1, 1), padding="same"),
        )
        self.pool, self.head = nn.AvgPool3d(2), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x)).relu()
        return self.head(self.pool(x + self.time(self.space(x).relu())).mean((2, 3, 4)))


NETWORKS = {
    "text": (Text, torch.randint(50, (2, 12)), torch.randint(50, (2, 9)), {"widths.2": "conv_3x3"}),
    "sound": (Sound, torch.randn(2, 1, 6, 16), torch.randn(2, 1, 8, 12), {"causal": "dil_conv_3x3"}),
    "video": (Video, torch.randn(2, 2, 4, 10, 10), torch.randn(2, 2, 6, 12, 14), {"stem": "sep_conv_3x3"}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_identity_costs_other_sizes_and_inherited_weights(name: str) -> None:
    build, x, other, smaller = NETWORKS[name]
    torch.manual_seed(0)
    model, rng = build().eval(), np.random.default_rng(0)
    space = from_module(model, x)
    assert (space.masks(space.architecture)[[slot.index for slot in space.slots]].sum(1) > 1).sum() >= 4
    for mode in (False, True):
        twin = space.build(space.architecture).train(mode)
        assert torch.equal(twin(x), model.train(mode)(x))
    model.eval()
    for _ in range(3):
        architecture = space.sample(rng)
        network = space.build(architecture)
        for example in (x, other):
            out = network.train()(example)
            out.sum().backward()
            assert out.shape == model(example).shape
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network.eval()(x)
        params = sum(p.numel() for p in network.parameters())
        assert space.cost(architecture) == Cost(params, counter.get_total_flops() // 2 // len(x))
    with torch.no_grad(), recalibrating(model):
        model(x)
    inheritance = space.inheritance(x, seed=0, device=torch.device("cpu"))
    architecture = space.with_operations(smaller)
    with torch.no_grad():
        wanted, drawn = model(x), space.build(architecture).eval()(x)
        assert (inheritance(architecture).eval()(x) - wanted).square().sum() < (drawn - wanted).square().sum()


def test_an_average_along_three_axes_reads_padding_on_maps_smaller_than_its_kernel() -> None:
    """By hand, on ones: what lies outside is not counted."""
    module = replacement(nn.Conv3d(1, 1, 3, padding=1), "avg_pool_3x3")
    assert torch.equal(module(torch.ones(1, 1, 2, 2, 2)), torch.ones(1, 1, 2, 2, 2))


def test_what_is_named_and_what_stays() -> None:
    space = from_module(Sound(), NETWORKS["sound"][1])
    assert space.frozen == {"up": "it is a transposed convolution, which no operation is"}
    causal = space.slot("causal")
    assert (causal.layer, causal.in_shape, causal.stride, causal.in_channels) == ("conv_3", (8, 20), (1,), 8)
    assert description(nn.Conv3d(4, 4, (1, 3, 3), groups=2)) == "conv_1x3x3 in 2 groups"
    assert description(nn.MaxPool3d(2)) == "max_pool_2x2x2"
    assert operation_of(nn.MaxPool3d((1, 2, 2))) is None
    assert operation_of(nn.AvgPool1d(3)) == "avg_pool_3x3"


@settings(max_examples=40, deadline=None)
@given(
    axes=st.sampled_from([1, 3]),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    padding=st.integers(0, 3),
    mode=st.sampled_from(["zeros", "replicate", "circular", "reflect"]),
    grouped=st.booleans(),
    operation=st.sampled_from(OPERATIONS),
)
def test_every_replacement_keeps_its_shape_and_costs_what_is_counted(
    axes, kernel, stride, dilation, padding, mode, grouped, operation
) -> None:
    groups, size = 4 if grouped else 1, tuple(range(9, 9 + axes))
    layer = of_axes("Conv", axes)(4, 4, kernel, stride, padding, dilation, groups, padding_mode=mode)
    x = torch.randn(1, 4, *size)
    try:
        expected, cost, module = layer(x), replacement_cost(layer, operation, *size), replacement(layer, operation)
    except (ValueError, RuntimeError):  # a refusal, or a map too small for the layer itself
        return
    with FlopCounterMode(display=False) as counter:
        out = module(x)
    assert out.shape == expected.shape
    assert torch.isfinite(out).all()
    assert cost == Cost(sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_patches_are_what_the_convolution_reads(axes: int) -> None:
    layer = of_axes("Conv", axes)(3, 5, 3, 2, 1, 2, bias=False)
    x = torch.randn(2, 3, *range(7, 7 + axes))
    out = layer(x)
    pixels = torch.stack(torch.unravel_index(torch.arange(out.numel() // 5), (2, *out.shape[2:])))
    found = _patches(x, layer, pixels) @ layer.weight.flatten(1).T
    torch.testing.assert_close(found, out.movedim(1, -1).reshape(-1, 5), rtol=1e-4, atol=1e-5)
    assert found.shape == (2 * math.prod(out.shape[2:]), 5)
