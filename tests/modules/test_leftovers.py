"""What nulls leave behind is gone: from the network, from its cost, and from what training must reach."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn, Tensor
from torch.nn.parallel import DistributedDataParallel

import natrl
from natrl.core.operations import Cost
from natrl.modules import load_module, ModuleSpace, save_module
from natrl.modules.network_supernet import ModuleSupernet
from natrl.spaces import Batch, transition
from tests.modules.networks import conv, Residual
from tests.modules.test_rules import counted

IMAGE = torch.randn(2, 3, 16, 16)


class Blocks(nn.Module):
    """Residual blocks of several kinds, one after another."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = conv(3, 8), nn.ModuleList(blocks), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x.relu().mean((2, 3)))


class Excited(nn.Module):
    """A gate of linear layers on what a convolution gives."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.down, self.up = conv(8, 8), nn.BatchNorm2d(8), nn.Linear(8, 2), nn.Linear(2, 8)
        self.last = conv(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return self.last(x * self.up(self.down(x.mean((2, 3))).relu()).sigmoid()[:, :, None, None])


class TwoReaders(nn.Module):
    """A depthwise convolution and a norm that two layers read; their sum is normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise, self.norm = conv(8, 8, groups=8), nn.GroupNorm(2, 8)
        self.a, self.b, self.last = conv(8, 8), conv(8, 8), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.depthwise(x))
        return self.last(self.a(x) + self.b(x))


class SharedNorm(nn.Module):
    """A norm that is called in two places, and one whose weight another shares."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.norm, self.other = conv(8, 8), conv(8, 8), conv(8, 8), nn.PReLU(8), nn.PReLU(8)
        self.tied = nn.PReLU(8)
        self.tied.weight = self.other.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.other(self.a(self.norm(x))) + self.norm(self.b(x)) + self.tied(self.c(x))


class Read(nn.Module):
    """The model reads what a norm has."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = conv(8, 8), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) * self.norm.weight.shape[0]


class OnlyInTraining(nn.Module):
    """Training alone reads what comes out of the depthwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise, self.last = conv(8, 8, groups=8), conv(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(x)
        self.penalty = x.square().mean() if self.training else None
        return self.last(x)


class Bare(nn.Module):
    """Parameters of the block's own around a convolution, and a norm that stays for its hook."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Parameter(torch.randn(1, 8, 1, 1)), nn.Parameter(torch.ones(8, 1, 1))
        self.norm, self.conv = nn.BatchNorm2d(8), conv(8, 8)
        self.norm.register_forward_hook(lambda module, args, output: output * 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.norm(x) + self.before) * self.after


class Listed(nn.Module):
    """It keeps its weights in a list, from which a penalty may be made."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = conv(8, 8), nn.BatchNorm2d(8), conv(8, 8)
        self.penalised = [self.first.weight, self.norm.weight]

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(self.first(x)).relu())


def inverted() -> nn.Module:
    middle = [nn.BatchNorm2d(16), nn.ReLU6(inplace=True)]
    depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
    return nn.Sequential(conv(8, 16, 1), *middle, depthwise, nn.BatchNorm2d(16), conv(16, 8, 1), nn.BatchNorm2d(8))


def depthwise_first() -> nn.Module:
    return nn.Sequential(conv(8, 8, groups=8), nn.GroupNorm(2, 8), nn.PReLU(8), conv(8, 8, 1), nn.GroupNorm(2, 8))


def normalised_first() -> nn.Module:
    return nn.Sequential(
        nn.BatchNorm2d(8, affine=False), nn.ReLU(), conv(8, 8), nn.BatchNorm2d(8), nn.PReLU(), conv(8, 8)
    )


def odd_kernel() -> nn.Module:
    return nn.Sequential(conv(8, 8, 1), nn.Conv2d(8, 8, (1, 9), padding=(0, 4)), nn.LocalResponseNorm(2), conv(8, 8))


KINDS = {
    "inverted": lambda: Blocks(inverted(), inverted()),
    "depthwise first": lambda: Blocks(depthwise_first(), inverted()),
    "normalised first": lambda: Blocks(normalised_first(), odd_kernel()),
    "excited": lambda: Blocks(Excited(), Excited()),
    "two readers": lambda: Blocks(TwoReaders(), TwoReaders()),
    "shared norm": lambda: Blocks(SharedNorm()),
    "read": lambda: Blocks(Read(), inverted()),
    "in training": lambda: Blocks(OnlyInTraining(), Excited()),
    "bare": lambda: Blocks(Bare(), inverted(), Bare()),
    "listed": lambda: Blocks(Listed(), Bare(), Listed()),
    "residual": Residual,
}


@cache
def space_of(kind: str) -> ModuleSpace:
    torch.manual_seed(0)
    model = KINDS[kind]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)
            if module.affine:
                nn.init.uniform_(module.bias)
    return natrl.from_module(model, IMAGE)


def without_gradient(model: nn.Module) -> set[str]:
    found = model.train()(IMAGE)
    (found.square().sum() + sum(getattr(m, "penalty", 0) for m in model.modules())).backward()
    return {name for name, p in model.named_parameters() if p.requires_grad and p.grad is None}


def with_nulls(space: ModuleSpace, seed: int, share: float) -> Batch:
    """Random transforms in which so many of the slots that may be null are."""
    rng = np.random.default_rng(seed)
    original = Batch.of(space, [space.architecture])
    null = space.primitives.index("null")
    masks = original.masks()
    choices = np.where(masks[..., null] & (rng.random(space.n_slots) < share), null, original.choices)
    return space.pruned(transition(original, choices, masks).batch)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.3, 0.7, 1.0]))
def test_what_is_left_is_counted_trained_and_nothing_else(kind, seed, share):
    space = space_of(kind)
    batch = with_nulls(space, seed, share)
    architecture = batch[0]
    built = space.build(architecture, verify=False)
    torch.manual_seed(0)
    cost = counted(built, IMAGE[:1])
    assert space.cost(architecture) == cost <= space.cost(space.architecture)
    assert cost <= space.cost_table(architecture).cost(architecture)
    assert without_gradient(built) <= without_gradient(space.build(space.architecture))
    assert built.eval()(IMAGE).shape == (2, 10)
    masks = batch.masks()[0]
    for _ in range(3):  # no way back to what costs more
        actions = np.array([[np.random.default_rng(seed).choice(row.nonzero()[0]) for row in masks]])
        after = space.pruned(transition(batch, actions, masks[None]).batch)[0]
        assert space.cost(after) <= cost


def test_a_dropped_block_contributes_exactly_zero():
    space = space_of("residual")
    model, built = space.model, space.build(space.with_operations({"conv2": "null"}))
    assert space.left_out(space.with_operations({"conv2": "null"})) == ("norm1", "norm2")
    assert not list(built.norm1.parameters()) + list(built.norm2.parameters())
    for training in (False, True):
        x = model.train(training).pool(torch.relu(model.stem(IMAGE)))
        rest = torch.relu(model.down2(torch.relu(model.down1(x))) + model.shortcut(x))
        assert torch.equal(built.train(training)(IMAGE), model.head(rest.mean((2, 3))))


LEFT = {
    "inverted": ({"blocks.0.5": "null"}, {"blocks.0.1", "blocks.0.4", "blocks.0.6"}),
    "depthwise first": ({"blocks.0.3": "null"}, {f"blocks.0.{i}" for i in (1, 2, 4)}),
    "normalised first": ({"blocks.0.5": "null"}, {"blocks.0.0", "blocks.0.3", "blocks.0.4"}),
    "excited": ({"blocks.0.last": "null"}, {"blocks.0.norm"}),
    "two readers": ({"blocks.0.a": "null"}, set()),
    "shared norm": ({"blocks.0.a": "null"}, set()),
    "read": ({"blocks.0.conv": "null"}, set()),
    "in training": ({"blocks.0.last": "null"}, set()),
}


@pytest.mark.parametrize("kind", LEFT)
def test_what_goes(kind):
    space = space_of(kind)
    changes, gone = LEFT[kind]
    assert set(space.left_out(space.with_operations(changes))) == gone
    assert space.left_out(space.architecture) == ()


def test_parameters_that_stay_without_a_gradient_ask_for_none():
    space = space_of("bare")
    built = space.build(space.with_operations({"blocks.0.conv": "null"}))
    frozen = {name for name, p in built.named_parameters() if not p.requires_grad}
    assert frozen == {"blocks.0.before", "blocks.0.norm.weight", "blocks.0.norm.bias"}
    assert all(p.requires_grad for p in space.build(space.architecture).parameters())


def test_slots_that_nulls_feed_or_read_become_null():
    """They count until they do: a depthwise convolution, or the linear layers of a gate, as any other."""
    space = space_of("inverted")
    pruned = space.operations(space.prune(space.with_operations({"blocks.0.5": "null"})))
    assert {name for name, op in pruned.items() if op == "null"} == {"blocks.0.0", "blocks.0.3", "blocks.0.5"}
    space = space_of("excited")
    pruned = space.operations(space.prune(space.with_operations({"blocks.0.last": "null"})))
    gone = {f"blocks.0.{part}" for part in ("conv", "down", "up", "last")}
    assert {name for name, op in pruned.items() if op == "null"} == gone


def test_what_goes_with_two():
    """Each null by itself leaves the other as a reader; the sum of prices knows of neither, the cost does."""
    space = space_of("two readers")
    both = space.with_operations({"blocks.0.a": "null", "blocks.0.b": "null"})
    assert set(space.left_out(both)) == {"blocks.0.norm", "blocks.0.last"}
    left = Cost(16 + 16, 0)
    assert space.cost(both) + left == space.cost_table(both).cost(both)
    assert "could bring back other layers" in space.reason("blocks.0.a", "skip_connect", held="null")
    assert space.reason("blocks.0.a", "skip_connect", held="null", cost="rule") is None


def test_prices_of_a_slot_hold_what_goes_with_it():
    space = space_of("inverted")
    row = space.cost_table(space.architecture).slots[space.slot("blocks.0.5").index]
    assert row[:, 0].max() == 16 * 8 + 8 + 2 * 8 + 2 * 16 + 2 * 16
    assert space.reason("blocks.0.0", "skip_connect", held="null") is not None


def test_the_supernet_leaves_out_the_same():
    space = space_of("residual")
    supernet = ModuleSupernet(space, IMAGE)
    dropped = space.prune(space.with_operations({"conv2": "null"}))
    built = space.build(dropped).eval()
    with torch.no_grad():
        torch.testing.assert_close(supernet.eval()(IMAGE, dropped), built(IMAGE))
        torch.testing.assert_close(supernet(IMAGE, space.architecture), space.model.eval()(IMAGE))


def test_distributed_training_with_its_defaults(tmp_path):
    """One process stands for many: what has no gradient stops the second step."""
    torch.manual_seed(0)
    space = natrl.from_module(torchvision.models.mobilenet_v2(num_classes=10, width_mult=0.25), IMAGE)
    network = space.build(with_nulls(space, 0, 1.0)[0]).train()
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        parallel = DistributedDataParallel(network)
        for _ in range(2):
            parallel(IMAGE).sum().backward()
    finally:
        torch.distributed.destroy_process_group()


def test_a_network_stored_before_layers_were_left_out_is_refused(tmp_path):
    space = space_of("residual")
    for changes, refused in (({"conv1": "conv_1x1"}, False), ({"conv2": "null"}, True)):
        architecture = space.prune(space.with_operations(changes))
        save_module(tmp_path, space, architecture, space.build(architecture))
        choice = tmp_path / "choice.json"
        choice.write_text(choice.read_text().replace('"version": 2', '"version": 1', 1))
        if refused:
            with pytest.raises(ValueError, match="kept norm1, norm2, which natrl now leaves out"):
                load_module(space.model, IMAGE, tmp_path)
        else:
            load_module(space.model, IMAGE, tmp_path)


@pytest.mark.parametrize("kind", ["inverted", "depthwise first", "two readers"])
def test_a_network_stored_when_fewer_layers_were_slots_is_read(tmp_path, kind):
    """Depthwise convolutions were none: choice.json named the others, of an architecture of fewer slots."""
    space = space_of(kind)
    nulls = {slot.name: "null" for slot in space.slots if space.reason(slot.name, "null") is None}
    architecture = space.prune(space.with_operations(dict([*nulls.items()][-1:])))
    network = space.build(architecture)
    save_module(tmp_path, space, architecture, network)
    document = json.loads((tmp_path / "choice.json").read_text())
    dense = {slot.name for slot in space.slots if "groups" not in slot.layer}
    document["operations"] = {name: op for name, op in document["operations"].items() if name in dense}
    document["architecture"] = natrl.from_module(Residual(), IMAGE).architecture.to_dict()
    (tmp_path / "choice.json").write_text(json.dumps(document))
    assert len(dense) < len(space.slots)
    restored = load_module(space.model, IMAGE, tmp_path)
    torch.testing.assert_close(restored.eval()(IMAGE), network.eval()(IMAGE), rtol=0, atol=0)
