"""Layers that make their weights are slots as torch's own; what does more than these stays."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn, Tensor
from torch.nn import functional as F

import natrl
from natrl.core.operations import Cost
from natrl.modules.inherit.inheritance import Inheritance
from natrl.modules.inherit.kernels import inherit_kernel
from natrl.modules.replace.replacements import replacement
from natrl.modules.replace.subclasses import is_plain_layer, kernel_of
from tests.modules.networks import Subclass
from tests.modules.test_rules import counted


class Standardised(nn.Conv2d):
    """Weight standardisation, with a gain that begins at zero as NFNets' last ones do."""

    def __init__(self, *args: Any, gain: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gain = nn.Parameter(torch.full((self.out_channels, 1, 1, 1), gain))

    def made(self) -> Tensor:
        spread, mean = torch.var_mean(self.weight, (1, 2, 3), keepdim=True)
        return self.gain * (self.weight - mean) / (spread + 1e-5).sqrt()

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.made(), self.bias, self.stride, self.padding, self.dilation, self.groups)


class Masked(nn.Conv2d):
    """Its right half sees nothing."""

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.ones_like(self.weight)
        mask[..., self.kernel_size[1] // 2 + 1 :] = 0
        return F.conv2d(x, self.weight * mask, self.bias, self.stride, self.padding)


class Padded(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), self.weight, self.bias, self.stride)


class Dynamic(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * x.mean(), self.bias, self.stride, self.padding)


class NoisyInTraining(nn.Conv2d):
    """DropConnect (Wan et al. 2013): which its replacement would not have."""

    def forward(self, x: Tensor) -> Tensor:
        weight = F.dropout(self.weight, 0.2, self.training)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class OtherStride(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, 2, self.padding)


class Fails(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("not alone")


class Named(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(weight=self.weight, bias=self.bias, input=x, padding=self.padding)


@pytest.mark.parametrize(
    ("kind", "is_one"),
    [
        (nn.Conv2d, True),
        (Standardised, True),
        (Named, True),
        *((kind, False) for kind in (Subclass, Masked, Padded, Dynamic, OtherStride, Fails)),
    ],
)
def test_which_are_convolutions(kind: type[nn.Conv2d], is_one: bool) -> None:
    before = torch.random.get_rng_state()
    layer = kind(4, 6, 3, padding=1)
    drawn = torch.random.get_rng_state()
    assert is_plain_layer(layer) is is_one
    assert not torch.equal(before, drawn)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert not is_plain_layer(nn.ReLU())
    assert not is_plain_layer(nn.ConvTranspose2d(4, 4, 3))


class Cast(nn.Linear):
    """As timm's Linear."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype), bias=self.bias)


class Adapted(nn.Linear):
    """With an adapter of its own beside."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x.mean(-1, keepdim=True)


def test_which_are_linear() -> None:
    assert is_plain_layer(Cast(4, 6))
    assert is_plain_layer(nn.Linear(4, 6))
    assert not is_plain_layer(Adapted(4, 6))
    model = nn.Sequential(nn.Flatten(), Cast(12, 8), nn.ReLU(), Adapted(8, 8), nn.Linear(8, 4))
    space = natrl.from_module(model, torch.zeros(1, 3, 2, 2))
    assert [(slot.name, slot.layer) for slot in space.slots] == [("1", "linear"), ("4", "linear")]
    built = space.build(space.with_operations({"1": "low_rank_4"}))
    assert [type(layer) for layer in built[1]] == [nn.Linear, nn.Linear]


@pytest.mark.parametrize("options", [{}, {"groups": 2}, {"stride": 2, "dilation": 2, "bias": False}])
def test_kernels_are_those_that_it_convolves_with(options: dict[str, Any]) -> None:
    layer = Standardised(4, 6, 3, padding=1, **options)
    assert torch.equal(kernel_of(layer), layer.made().detach())
    x, plain = torch.randn(2, 4, 9, 9), replacement(layer, "conv_1x1")
    inherit_kernel(layer, plain)
    *_, last = plain.modules()
    assert type(last) is nn.Conv2d
    assert torch.equal(last.weight, layer.made()[:, :, 1:2, 1:2])
    assert plain(x).shape == layer(x).shape


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.odd = Standardised(3, 8, 3, padding=1), Subclass(8, 8, 3, padding=1)
        self.first, self.last = Standardised(8, 4, 1), Standardised(4, 8, 1, bias=False, gain=0.0)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.odd(self.stem(x))
        return self.head((x + 0.2 * self.last(self.first(x).relu())).mean((2, 3)))


def test_slots_costs_and_inherited_weights() -> None:
    torch.manual_seed(0)
    model, images = Net().eval(), torch.randn(32, 3, 8, 8)
    space = natrl.from_module(model, images[:1])
    assert [slot.name for slot in space.slots] == ["stem", "first", "last", "head"]
    assert space.frozen["odd"].startswith("its type is tests.modules.networks.Subclass, a subclass of torch's Conv2d")
    assert space.slot("stem").cost == Cost(3 * 8 * 9 + 8 + 8, 3 * 8 * 9 * 64)  # with its gains
    identical = space.build(space.architecture).eval()
    assert torch.equal(identical(images), model(images))
    for changes in ({"stem": "sep_conv_3x3", "first": "low_rank_2"}, {"last": "null"}):
        architecture = space.prune(space.with_operations(changes))
        network = Inheritance(space, images, seed=0, device=torch.device("cpu"))(architecture).eval()
        assert space.cost(architecture) == counted(network, images[:1])
        assert torch.isfinite(network(images)).all()
    assert torch.equal(network(images), model(images))  # a gain of zero: the branch gave nothing
