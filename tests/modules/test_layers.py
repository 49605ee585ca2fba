"""Which layers stay, and the reason that is given for each."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import natrl
from tests.modules.networks import conv, DataDependent, Shared, Tricks

REASONS = {
    "subclass": "its type is tests.modules.networks.Subclass, a subclass of torch's Conv2d, and only torch's own",
    "hooked": "it has hooks, which would be lost",
    "normed": "its weight has a parametrization",
    "tied": "its weights are tied to those of twin",
    "twin": "its weights are tied to those of tied",
    "decayed": "its weights are used outside its own call, by pow",
    "read": "the model reads its weight, which a replacement need not have",
    "idle": "it is not called on the example input",
    "unused": "no output of the network depends on its output",
    "transposed": "it is a transposed convolution, which no operation is",
    "of_constant": "its input does not depend on the input of the network",
    "the model (convolution)": "a function call, not a layer",
    "dilated": "it is a dilated pooling, which no operation is",
    "indices": "it returns indices",
    "average": "its type is AdaptiveAvgPool2d, and only torch's own",
}


def test_every_layer_is_a_slot_or_stays_for_a_reason():
    space = natrl.from_module(Tricks(), torch.zeros(1, 3, 8, 8))
    assert [(slot.name, slot.layer) for slot in space.slots] == [
        ("plain", "conv_3x3"),
        ("grouped", "conv_3x3 in 2 groups"),
        ("large", "conv_11x11"),
    ]
    assert space.frozen.keys() == REASONS.keys()
    for name, reason in REASONS.items():
        assert space.frozen[name].startswith(reason), name
        with pytest.raises(ValueError, match=re.escape(f"layer {name!r} of Tricks stays: {reason}")):
            space.slot(name)
    assert space.reason("twin", "conv_1x1") == space.frozen["twin"]


def test_what_the_example_did_not_reach_stays():
    space = natrl.from_module(DataDependent(), torch.ones(1, 3, 8, 8))
    assert [slot.name for slot in space.slots] == ["bright"]
    assert space.frozen == {"dark": "it is not called on the example input"}


class Particular(nn.Module):
    """Its code takes other ways with other modules in place of its convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.asserted, self.last = conv(3, 4), conv(4, 4), conv(4, 4)

    def forward(self, x):  # type: ignore[no-untyped-def]
        assert isinstance(self.asserted, nn.Conv2d)
        x = self.asserted(self.fine(x))
        return self.last(x) if isinstance(self.last, nn.Conv2d) else x


def test_a_layer_stays_where_the_model_refuses_a_replacement():
    space = natrl.from_module(Particular(), torch.zeros(1, 3, 8, 8))
    assert [slot.name for slot in space.slots] == ["fine"]
    assert space.frozen == {
        "asserted": "the model does not run with another module in its place",
        "last": "another module in its place is not what the model calls",
    }


def test_a_layer_called_twice_is_one_slot():
    """Parameters count once, MAdds for each call; both calls go to the replacement, whatever name reaches it."""
    space = natrl.from_module(Shared(), torch.zeros(1, 3, 16, 16))
    slot = space.slot("twice")
    assert (slot.calls, slot.cost.params, slot.cost.madds) == (2, 148, 144 * (256 + 64))
    assert "the layer is called 2 times" in space.reason("twice", "null")
    assert space.reason("twice", "skip_connect") is None
    assert "got 4×16×16 → 4×8×8" in space.reason("pool", "skip_connect")
    built = space.build(space.with_operations({"twice": "sep_conv_3x3"}))
    assert built.alias is built.twice
    assert isinstance(built.twice, nn.Sequential)
