"""What only training mode reads: it decides along with what evaluation mode does."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
import torchvision
from torch import nn, Tensor

import natrl
from natrl.modules.slots import LAYER_PRIMITIVES
from tests.modules.networks import conv

X = torch.randn(1, 3, 8, 8)


class Net(nn.Module):
    """Two residual blocks and a head; `also` is what training does besides."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b1, self.b2, self.c = conv(3, 8), conv(8, 8), conv(8, 8), conv(8, 8)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.a(x).relu()
        b = self.b1(x)
        x = x + self.norm(self.b2(b.relu()))
        c = self.c(x)
        logits = self.head((x + c).relu().mean((2, 3)))
        also = self.also(b, c) if self.training else None
        return logits if also is None else (logits, also)

    def also(self, b: Tensor, c: Tensor) -> Tensor | None:
        return None


class ReadsAWeight(Net):
    def also(self, b: Tensor, c: Tensor) -> None:
        self.penalty = self.c.weight.square().sum()


class ReadsAShape(Net):
    def also(self, b: Tensor, c: Tensor) -> None:
        self.penalty = c.mean() * self.c.out_channels


class KeepsAWeight(Net):
    def __init__(self) -> None:
        super().__init__()
        self.penalised = [self.c.weight]

    def also(self, b: Tensor, c: Tensor) -> None:
        self.penalty = sum(weight.square().sum() for weight in self.penalised)


class KeepsAView(KeepsAWeight):
    def __init__(self) -> None:
        super().__init__()
        self.penalised = [self.c.weight.detach().view(-1)]


class AsksForTheType(Net):
    def also(self, b: Tensor, c: Tensor) -> None:
        assert isinstance(self.c, nn.Conv2d)


class EveryWeight(Net):
    """As generic code does it: whatever stands in a layer's place is read alike."""

    def also(self, b: Tensor, c: Tensor) -> None:
        self.penalty = sum(p.square().sum() for p in self.parameters())


class Average(Net):
    """The mean teacher's weights follow the others', one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.teacher = conv(8, 8)

    def also(self, b: Tensor, c: Tensor) -> Tensor:
        with torch.no_grad():
            for follows, leads in zip(self.teacher.parameters(), self.c.parameters(), strict=True):
                follows.lerp_(leads, 0.1)
        return self.teacher(b)


class Auxiliary(Net):
    """A head on what the first block reads in between."""

    def __init__(self) -> None:
        super().__init__()
        self.side, self.auxiliary = conv(8, 8), nn.Linear(8, 10)

    def also(self, b: Tensor, c: Tensor) -> Tensor:
        return self.auxiliary(self.side(b).relu().mean((2, 3)))


class Linear(Auxiliary):
    def also(self, b: Tensor, c: Tensor) -> Tensor:
        return self.auxiliary(b.mean((2, 3)))


class Logarithm(Net):
    def also(self, b: Tensor, c: Tensor) -> None:
        self.penalty = c.square().mean().log()


class CallsAgain(Net):
    def also(self, b: Tensor, c: Tensor) -> Tensor:
        return self.c(b).mean((2, 3))


class ReadsMore(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x).relu()
        y = self.b2(self.b1(x))
        return self.head((y + self.c(x + y if self.training else x)).mean((2, 3)))


REASONS = {
    ReadsAWeight: (
        "c",
        "sep_conv_3x3",
        "in training mode the model reads its weight, which a replacement need not have",
    ),
    ReadsAShape: ("c", "conv_1x1", "in training mode the model reads its out_channels, which"),
    KeepsAWeight: ("c", "conv_1x1", "its weights are kept elsewhere in the model, too"),
    KeepsAView: ("c", "conv_1x1", "its weights are kept elsewhere in the model, too"),
    AsksForTheType: ("c", "conv_1x1", "in training mode the model does not run with another module in its place"),
    Average: ("c", "sep_conv_3x3", "in training mode the model does not run with another module in its place"),
    Auxiliary: ("c", "null", None),
    Logarithm: ("c", "null", "its output goes into mean in training mode"),
    CallsAgain: ("c", "null", "null would cut 2 paths at once: the layer is called 2 times in training mode"),
    ReadsMore: ("c", "conv_1x1", "in training mode it reads what it does not read in evaluation mode"),
}


@pytest.mark.parametrize("network", REASONS)
def test_reasons_of_training_mode(network):
    name, operation, reason = REASONS[network]
    found = natrl.from_module(network(), X).reason(name, operation)
    assert found is None if reason is None else reason in found


@pytest.mark.parametrize("network", [*REASONS, Net, EveryWeight, Linear])
def test_every_move_trains(network):
    """Forward and backward in training mode, by itself."""
    space = natrl.from_module(network(), X)
    mask = space.masks(space.architecture)
    for slot in space.slots:
        for k in mask[slot.index].nonzero()[0]:
            built = space.build(space.with_operations({slot.name: LAYER_PRIMITIVES[k]}), verify=False).train()
            found = built(torch.cat([X, X]))
            loss = sum(f.square().sum() for f in (found if isinstance(found, tuple) else (found,)))
            (loss + getattr(built, "penalty", 0)).backward()
            assert loss.isfinite()


def test_generic_code_keeps_no_layer():
    assert not natrl.from_module(EveryWeight(), X).frozen


@pytest.mark.parametrize("network", [Auxiliary, Linear])
def test_what_only_an_auxiliary_head_reads_stays(network):
    """b2 may go, and b1 would be unused in evaluation mode: but training reads it."""
    space = natrl.from_module(network(), X)
    dropped = space.prune(space.with_operations({"b2": "null"}))
    assert space.operations(dropped)["b1"] == "conv_3x3"
    assert natrl.from_module(Net(), X).prune(natrl.from_module(Net(), X).with_operations({"b2": "null"})) != dropped
    main, auxiliary = space.build(dropped).train()(torch.randn(2, 3, 8, 8))
    assert auxiliary.std(0).min() > 0
    assert main.std(0).min() > 0
    space.build(dropped)


class Drops(Net):
    """Layers are left out in training, as the chance of three libraries has it."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout, self.depth = nn.Dropout2d(0.5), torchvision.ops.StochasticDepth(0.5, "row")

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x).relu()
        if not self.training or random.random() < 0.5:
            x = x + self.depth(self.norm(self.b2(self.b1(x).relu())))
        if not self.training or (np.random.rand() < 0.5 and torch.rand(()) < 0.5):  # noqa: NPY002
            x = x + self.dropout(self.c(x))
        return self.head(x.relu().mean((2, 3)))


def test_chance_in_training_changes_nothing():
    """Neither what is found nor the user's random numbers; the same as without."""
    model, plain = Drops(), natrl.from_module(Net(), X)
    for seed in range(4):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
        space = natrl.from_module(model, X)
        after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
        assert before == after
        assert not space.frozen
        assert not space.needed_data
        for slot in space.slots:
            assert space.reason(slot.name, "null") == plain.reason(slot.name, "null")


def test_a_network_that_trains_only_with_labels_is_read_in_evaluation_mode():
    class Labels(Net):
        def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
            logits = super().forward(x)
            return nn.functional.cross_entropy(logits, labels) if self.training else logits

    space = natrl.from_module(Labels(), X)
    assert space.reason("c", "null") is None


def test_googlenet_keeps_what_its_auxiliary_heads_read():
    """As torchvision has it, at 32 pixels: a second or two."""
    model = torchvision.models.googlenet(weights=None, num_classes=10, init_weights=False)
    space = natrl.from_module(model, torch.zeros(1, 3, 32, 32))
    parts = ("conv.conv", "fc1", "fc2")
    assert {name for name in space.frozen if name.startswith("aux")} == {f"aux{i}.{p}" for i in (1, 2) for p in parts}
    built = space.build(space.sample(np.random.default_rng(0)), verify=False).train()
    assert [len(found) for found in built(torch.randn(2, 3, 32, 32))] == [2, 2, 2]
