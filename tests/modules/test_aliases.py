"""Replacements under neighbours that write in place: the same as in a twin that writes nowhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn, Tensor
from torch.nn import functional as F

import natrl
from natrl.modules.slots import LAYER_PRIMITIVES
from tests.modules.networks import conv

Act = Callable[[Tensor], Tensor]

#: In place, and the same out of place.
NEIGHBOURS: dict[str, tuple[Act, Act]] = {
    "relu_": (F.relu_, F.relu),
    "ReLU": (nn.ReLU(inplace=True), nn.ReLU()),
    "hardswish": (lambda x: F.hardswish(x, inplace=True), F.hardswish),
    "add_": (lambda x: x.add_(1), lambda x: x + 1),
    "mul_": (lambda x: x.mul_(2), lambda x: x * 2),
    "+=": (lambda x: x.__iadd__(x.detach() ** 2), lambda x: x + x.detach() ** 2),
    "slice": (lambda x: (x[:, :2].zero_(), x)[1], lambda x: torch.cat([torch.zeros_like(x[:, :2]), x[:, 2:]], 1)),
}


class Before(nn.Module):
    """The input is read again after the neighbour has written to the layer's output."""

    def __init__(self, act: Act, layer: nn.Module) -> None:
        super().__init__()
        self.stem, self.layer, self.last, self.act = conv(3, 4), layer, conv(4, 4), act

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.last(x + self.act(self.layer(x)))


class After(Before):
    """What the layer read is written to while its output waits."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x) * 1.0
        y = self.layer(x.clone() if torch.is_grad_enabled() else x)
        return self.last(self.act(x) + y)


class Into(Before):
    """The shortcut is added into the layer's output."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.layer(x)
        y += x
        return self.last(self.act(y) + x)


class Twice(Before):
    """Two branches read the same, and both write."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.act(self.layer(x))
        return self.last(self.act(x.clone()) + y + x)


class Leaf(Before):
    """The layer reads the input of the network."""

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, x[:, :1]], 1) if x.shape[1] == 3 else x
        return self.last(self.act(self.layer(x)) + x + 0 * self.stem(x[:, :3]))


LAYERS: tuple[Callable[[], nn.Module], ...] = (lambda: conv(4, 4, 5), lambda: nn.MaxPool2d(3, 1, 1))


@pytest.mark.parametrize("shape", [Before, After, Into, Twice, Leaf])
@pytest.mark.parametrize("neighbour", NEIGHBOURS)
@pytest.mark.parametrize("make", LAYERS, ids=["conv", "pool"])
def test_every_primitive_behaves_under_neighbours_that_write(shape, neighbour, make):
    """Forward and backward."""
    torch.manual_seed(0)
    image = torch.randn(2, 3, 6, 6)
    inside, outside = (shape(act, make()) for act in NEIGHBOURS[neighbour])
    outside.load_state_dict(inside.state_dict())
    spaces = [natrl.from_module(model, image) for model in (inside, outside)]
    for name in LAYER_PRIMITIVES:
        if spaces[0].reason("layer", name) is not None:
            continue
        built = [space.build(space.with_operations({"layer": name}), verify=False) for space in spaces]
        built[1].load_state_dict(built[0].state_dict())
        with torch.no_grad():
            assert torch.equal(*(model.eval()(image.clone()) for model in built)), name
        images = [image.clone().requires_grad_() for _ in built]
        for model, x in zip(built, images, strict=True):
            model.train()(x).square().sum().backward()
        assert torch.equal(images[0].grad, images[1].grad), name
        for a, b in zip(built[0].parameters(), built[1].parameters(), strict=True):
            assert torch.equal(a.grad, b.grad) if b.grad is not None else a.grad is None, name
