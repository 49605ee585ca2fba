"""What a network's code keeps outside of it: a run without data leaves no tensor without values there."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from functools import cache, lru_cache
from types import ModuleType

import pytest
import torch
from torch import nn, Tensor

import natrl
from tests.modules.networks import conv

X = torch.randn(2, 3, 8, 8)
REBOUND: Tensor | None = None
ROWS: dict[int, tuple[str, Tensor]] = {}
LISTED: list[Tensor] = []
PLACES: list[Tensor | None] = [None]


class Net(nn.Module):
    """Adds positions to its input, which it makes once for each width."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(3, 8), conv(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x + self.positions(x.shape[-1]))
        return (x + self.b(x)).mean((2, 3))

    def positions(self, width: int) -> Tensor:
        raise NotImplementedError


class OfAClass(Net):
    made: dict[int, Tensor] = {}  # noqa: RUF012

    def positions(self, width: int) -> Tensor:
        if width not in self.made:
            self.made[width] = torch.linspace(0, 1, width)
        return self.made[width]


class AnAttributeOfAClass(Net):
    made: Tensor | None = None

    def positions(self, width: int) -> Tensor:
        if AnAttributeOfAClass.made is None:
            AnAttributeOfAClass.made = torch.linspace(0, 1, width)
        return AnAttributeOfAClass.made


class NewAttributeOfAClass(Net):
    def positions(self, width: int) -> Tensor:
        kind = type(self)
        if not hasattr(kind, "made"):
            kind.made = torch.linspace(0, 1, width)
        return kind.made


class AGlobal(Net):
    def positions(self, width: int) -> Tensor:
        global REBOUND
        if REBOUND is None:
            REBOUND = torch.linspace(0, 1, width)
        return REBOUND


class ADictionary(Net):
    def positions(self, width: int) -> Tensor:
        return ROWS.setdefault(width, ("positions", torch.linspace(0, 1, width)))[1]


class AList(Net):
    def positions(self, width: int) -> Tensor:
        if not LISTED:
            LISTED.append(torch.linspace(0, 1, width))
        return LISTED[0]


class APlaceInAList(Net):
    def positions(self, width: int) -> Tensor:
        if PLACES[0] is None:
            PLACES[0] = torch.linspace(0, 1, width)
        return PLACES[0]


@lru_cache(maxsize=4)
def remembered(width: int) -> Tensor:
    return torch.linspace(0, 1, width)


class ACache(Net):
    def positions(self, width: int) -> Tensor:
        return remembered(width)


class ACachedMethod(Net):
    @staticmethod
    @cache
    def positions(width: int) -> Tensor:
        return torch.linspace(0, 1, width)


def once() -> Callable[[int], Tensor]:
    made = None

    def positions(width: int) -> Tensor:
        nonlocal made
        made = torch.linspace(0, 1, width) if made is None else made
        return made

    return positions


class AClosure(Net):
    positions = staticmethod(once())


class AnAttributeOfAFunction(Net):
    @classmethod
    def positions(cls, width: int) -> Tensor:
        remembers = cls.positions.__func__
        remembers.made = getattr(remembers, "made", None)
        if remembers.made is None:
            remembers.made = torch.linspace(0, 1, width)
        return remembers.made


CODE = """
import torch
MADE = {}
def positions(width):
    if width not in MADE:
        MADE[width] = torch.linspace(0, 1, width)
    return MADE[width]
"""
helpers = ModuleType("helpers_of_a_network")
exec(CODE, vars(helpers))


class AnotherFile(Net):
    def positions(self, width: int) -> Tensor:
        return helpers.positions(width)


class AProperty(Net):
    @property
    def table(self) -> dict[int, tuple[str, Tensor]]:
        return ROWS

    def positions(self, width: int) -> Tensor:
        return self.table.setdefault(width, ("positions", torch.linspace(0, 1, width)))[1]


NETWORKS = [OfAClass, AnAttributeOfAClass, NewAttributeOfAClass, AGlobal, ADictionary, AList, APlaceInAList, ACache]
NETWORKS += [ACachedMethod, AClosure, AnAttributeOfAFunction, AnotherFile, AProperty]


@pytest.mark.parametrize("network", NETWORKS)
def test_importing_and_building_leave_nothing_without_values(network: type[Net]) -> None:
    ROWS.clear(), LISTED.clear()
    model = network().eval()
    space = natrl.from_module(model, X)
    assert not space.needed_data
    built = space.build(space.architecture)
    sent = pickle.loads(pickle.dumps(space))  # as in a worker, which builds as well
    again = sent.build(sent.with_operations({"b": "conv_1x1"}))
    with torch.no_grad():
        wanted = model(X)
        assert type(wanted) is Tensor
        expected = model.a(X + torch.linspace(0, 1, 8))
        assert torch.equal(wanted, (expected + model.b(expected)).mean((2, 3)))
        assert torch.equal(built.eval()(X), wanted)
        assert again.eval()(X).isfinite().all()


def test_what_was_there_before_stays() -> None:
    OfAClass.made.clear()
    ROWS.clear()
    remembered.cache_clear()
    kept = [OfAClass.made.setdefault(width, torch.linspace(0, 1, width)) for width in (8, 5)]
    ROWS[5] = row = ("positions", torch.zeros(5))
    for network in (OfAClass, ADictionary):
        natrl.from_module(network(), X)
    assert list(OfAClass.made.values()) == kept
    assert list(ROWS.values()) == [row]
    assert sys.modules[__name__].ROWS is ROWS
