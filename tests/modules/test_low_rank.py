"""Pointwise layers as two through fewer channels: where they fit, what they cost, and what they start from."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn, Tensor

import natrl
from natrl.core.operations import Cost
from natrl.modules.inherit.inheritance import Inheritance
from natrl.modules.inherit.kernels import inherit_kernel, low_rank
from natrl.modules.inherit.least_squares import fit_layer
from natrl.modules.inherit.reference import Reference
from natrl.modules.network_supernet import ModuleSupernet
from natrl.modules.replace.replacements import replacement, replacement_cost
from tests.modules.test_rules import counted

LADDER = ("low_rank_2", "low_rank_4", "low_rank_8")


class Pointwise(nn.Module):
    """A strided 1×1 convolution, one in groups, and linear layers on positions and on a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.grouped = nn.Conv2d(3, 16, 1, 2, bias=False), nn.Conv2d(16, 16, 1, groups=4)
        self.norm = nn.BatchNorm2d(16)
        self.wide, self.square, self.head = nn.Linear(16, 64), nn.Linear(64, 64), nn.Linear(64, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.grouped(self.norm(self.stem(x)).relu()).flatten(2).mT  # (B, N, 16)
        return self.head(self.square(self.wide(x).relu()).relu().mean(1))


@pytest.mark.parametrize(
    ("layer", "operation", "cost"),
    [
        (nn.Linear(16, 64), "low_rank_2", Cost(8 * 16 + 8 * 64 + 64, 35 * 8 * (16 + 64))),
        (nn.Linear(64, 16, bias=False), "low_rank_8", Cost(2 * 64 + 2 * 16, 35 * 2 * (64 + 16))),
        (nn.Linear(12, 4), "low_rank_8", Cost(12 + 4 + 4, 35 * 16)),  # of rank 1
        (nn.Linear(12, 4), "conv_1x1", Cost(52, 35 * 48)),
        (nn.Conv2d(16, 64, 1), "low_rank_4", Cost(4 * 16 + 4 * 64 + 64, 35 * 4 * (16 + 64))),
        (nn.Conv2d(16, 64, 1, 2), "low_rank_4", Cost(4 * 16 + 4 * 64 + 64, 3 * 4 * 4 * (16 + 64))),
        (nn.Conv2d(16, 64, 1, 2, 1), "low_rank_4", Cost(384, 4 * 5 * 4 * 16 + 4 * 5 * 4 * 64)),
    ],
)
def test_costs_by_hand(layer: nn.Conv2d | nn.Linear, operation: str, cost: Cost) -> None:
    """On 5 × 7 pixels, or positions."""
    assert replacement_cost(layer, operation, 5, 7) == cost
    module = replacement(layer, operation)
    x = torch.randn(1, 5, 7, 16 if isinstance(layer, nn.Conv2d) else layer.in_features)
    x = x.permute(0, 3, 1, 2) if isinstance(layer, nn.Conv2d) else x
    assert counted(module, x) == cost
    assert module(x).shape == layer(x).shape
    parts = [module] if operation == "conv_1x1" else [*module]
    assert all(type(part) is type(layer) for part in parts)
    assert [part.bias is not None for part in parts] == [False] * (len(parts) - 1) + [layer.bias is not None]


@settings(max_examples=50)
@given(into=st.integers(1, 40), out=st.integers(1, 40), operation=st.sampled_from(LADDER), linear=st.booleans())
def test_a_low_rank_is_there_exactly_where_it_has_fewer_weights(into, out, operation, linear):  # type: ignore[no-untyped-def]
    layer = nn.Linear(into, out) if linear else nn.Conv2d(into, out, 1)
    rank = max(1, min(into, out) // int(operation[-1]))
    if rank * (into + out) < into * out:
        assert replacement_cost(layer, operation, 1, 1) == Cost(rank * (into + out) + out, rank * (into + out))
    else:
        with pytest.raises(ValueError, match="saves nothing"):
            replacement(layer, operation)


def test_slots_and_moves() -> None:
    """On 8×8 images the positions are 16; a linear layer counts each of them."""
    space = natrl.from_module(Pointwise(), torch.zeros(2, 3, 8, 8))
    assert {slot.name: slot.layer for slot in space.slots} == {
        "stem": "conv_1x1",
        "grouped": "conv_1x1 in 4 groups",
        **dict.fromkeys(("wide", "square", "head"), "linear"),
    }
    assert space.slot("wide").cost == Cost(16 * 64 + 64, 16 * 16 * 64)
    assert (space.slot("wide").in_shape, space.slot("wide").out_channels) == ((16, 16), 64)
    assert space.slot("head").cost == Cost(640, 640)
    mask = space.masks(space.architecture)
    moves = {s.name: {p for p, can in zip(space.primitives, mask[s.index], strict=True) if can} for s in space.slots}
    assert moves == {
        "stem": {"conv_1x1", "low_rank_2", "low_rank_4", "low_rank_8"},  # of rank 1
        "grouped": {"conv_1x1", "skip_connect"},
        "wide": {"conv_1x1", *LADDER},
        "square": {"conv_1x1", "skip_connect", "low_rank_4", "low_rank_8"},
        "head": {"conv_1x1", *LADDER},
    }
    assert "dense 1×1 convolution" in space.reason("grouped", "low_rank_4")
    assert space.reason("head", "null").endswith("its output goes into the output")
    lower = space.with_operations({"wide": "low_rank_4"})
    row = space.masks(lower)[space.slot("wide").index]
    assert {p for p, can in zip(space.primitives, row, strict=True) if can} == {"low_rank_4", "low_rank_8"}
    assert space.reason("wide", "low_rank_2", held="low_rank_4") == "no rule lets low_rank_4 become low_rank_2"
    for rule, expected in (("nat", {"conv_1x1"}), ("nat++", moves["wide"])):
        row = space.masks(space.architecture, rule)[space.slot("wide").index]
        assert {p for p, can in zip(space.primitives, row, strict=True) if can} == expected


@pytest.mark.parametrize("rank", [1, 3, 6])
@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (6, 6)])
def test_the_nearest_product_is_the_truncated_svd_on_whitened_inputs(shape: tuple[int, int], rank: int) -> None:
    """Eckart and Young, by an independent way: the SVD of W S^½, and S^-½ behind it."""
    torch.manual_seed(0)
    matrix, spread = torch.randn(*shape), torch.randn(shape[1], shape[1], dtype=torch.float64)
    moments = spread @ spread.T + 0.1 * torch.eye(shape[1])
    values, vectors = torch.linalg.eigh(moments)
    root = vectors @ values.sqrt().diag() @ vectors.T
    left, singular, right = torch.linalg.svd(matrix.double() @ root)
    singular[rank:] = 0
    nearest = left[:, : len(singular)] @ singular.diag() @ right[: len(singular)] @ root.inverse()
    out, into = low_rank(matrix, rank, moments)
    assert (out.shape, into.shape) == ((shape[0], rank), (rank, shape[1]))
    torch.testing.assert_close(out @ into, nearest)
    left, singular, right = torch.linalg.svd(matrix.double())
    out, into = low_rank(matrix, rank)
    torch.testing.assert_close(out @ into, left[:, :rank] @ singular[:rank].diag() @ right[:rank])


@pytest.mark.parametrize("layer", [nn.Linear(24, 32), nn.Linear(32, 24, bias=False), nn.Conv2d(24, 32, 1, 2)])
def test_a_fit_to_what_comes_in_beats_the_plain_svd(layer: nn.Conv2d | nn.Linear) -> None:
    """On inputs of few strong directions, and on other inputs than those it was fitted on."""
    torch.manual_seed(0)
    layer.reset_parameters()  # which were drawn before any seed was set
    channels = layer.weight.shape[1]
    spread = torch.randn(channels, channels) * torch.logspace(0, -2, channels)

    def images(seed: int) -> Tensor:
        x = torch.randn(64, 6, 6, channels, generator=torch.Generator().manual_seed(seed)) @ spread.T + 1
        return x.permute(0, 3, 1, 2) if isinstance(layer, nn.Conv2d) else x

    x, others = images(1), images(2)
    rows = Reference(nn.Sequential(layer), ["0"], x).layers["0"]
    errors = []
    for fitted in (False, True):
        module = replacement(layer, "low_rank_4")
        fit_layer(layer, module, x, rows) if fitted else inherit_kernel(layer, module)
        with torch.no_grad():
            errors.append((module(others) - layer(others)).square().mean().item())
    assert errors[1] < errors[0] / 3


def test_what_is_of_low_rank_is_recovered() -> None:
    """Exactly, bias and all, whatever the inputs."""
    torch.manual_seed(0)
    layer = nn.Linear(12, 20)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(20, 3) @ torch.randn(3, 12))
    x = torch.randn(2, 50, 12) - 2
    for fit in (True, False):
        module = replacement(layer, "low_rank_4")
        if fit:
            fit_layer(layer, module, x, Reference(nn.Sequential(layer), ["0"], x).layers["0"])
        else:
            inherit_kernel(layer, module)
        torch.testing.assert_close(module(x), layer(x), atol=1e-4, rtol=1e-4)


def test_inherited_networks_make_up_for_what_came_before() -> None:
    """Fitted in order, on what the new network gives: nearer to the trained one than each layer for itself."""
    torch.manual_seed(0)
    model = Pointwise().eval()
    images = torch.randn(64, 3, 8, 8)
    space = natrl.from_module(model, images[:1])
    smaller = space.with_operations({"wide": "low_rank_2", "square": "low_rank_4", "head": "low_rank_2"})
    network = Inheritance(space, images, seed=0, device=torch.device("cpu"))(smaller).eval()
    alone = space.build(smaller).eval()
    for name in ("wide", "square", "head"):
        inherit_kernel(model.get_submodule(name), alone.get_submodule(name))
    with torch.no_grad():
        wanted = model(images)
        errors = [(found(images) - wanted).square().mean() / wanted.var() for found in (network, alone)]
    assert errors[0] < 0.3 * errors[1]
    supernet = ModuleSupernet(space, images).eval()
    assert torch.equal(supernet(images, space.architecture), model(images))
    with torch.no_grad():
        assert (supernet(images, smaller) - wanted).square().mean() / wanted.var() < errors[1]
