"""Small networks, each with one thing that importing must get right."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, Tensor
from torch.nn import functional as F


def conv(before: int, after: int, kernel: int = 3, **options) -> nn.Conv2d:  # type: ignore[no-untyped-def]
    return nn.Conv2d(before, after, kernel, padding=kernel // 2, **options)


class Residual(nn.Module):
    """Stem, a pooling, a block with an identity shortcut, one with a convolution as shortcut, and a classifier."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = conv(3, width, 5, stride=2)
        self.pool = nn.MaxPool2d(3, 1, 1)
        self.conv1, self.conv2 = conv(width, width, bias=False), conv(width, width, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.down1, self.down2 = conv(width, 2 * width, stride=2), conv(2 * width, 2 * width)
        self.shortcut = nn.Conv2d(width, 2 * width, 1, 2)
        self.head = nn.Linear(2 * width, 10)

    def features(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.stem(x)))
        y = self.norm2(self.conv2(torch.relu_(self.norm1(self.conv1(x)))))
        y += x
        x = F.relu(y, inplace=True)
        return torch.relu(self.down2(torch.relu(self.down1(x))) + self.shortcut(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))


class Dense(nn.Module):
    """Each layer reads the concatenation of all before it."""

    def __init__(self, layers: int = 6) -> None:
        super().__init__()
        self.stem = conv(3, 4)
        self.layers = nn.ModuleList(conv(4 * (i + 1), 4) for i in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        found = [self.stem(x)]
        for layer in self.layers:
            found.append(torch.relu(layer(torch.cat(found, 1))))
        return torch.cat(found, 1)


class Joins(nn.Module):
    """A layer into an addition, one into a product, one into a concatenation, and one into both of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 4)
        self.added, self.gate, self.joined, self.both = conv(4, 4), conv(4, 4), conv(4, 4), conv(4, 4)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        both = self.both(x)
        x = F.hardswish(self.norm(self.added(x))) + x + both
        x = x * self.gate(x).sigmoid() * both
        return torch.cat([x, self.joined(x)], 1)


class Shared(nn.Module):
    """One convolution is called twice, on maps of different size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice, self.pool = conv(3, 4), conv(4, 4), nn.AvgPool2d(2)
        self.alias = self.twice

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.alias(self.pool(x + self.twice(x)))


class Slices(nn.Module):
    """Outputs are written into slices of a tensor that was there before."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = conv(3, 4), conv(3, 4), conv(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        both = x.new_zeros(x.shape[0], 8, *x.shape[2:])
        both[:, :4] = self.first(x)
        half = both[:, 4:]
        half += self.second(x)
        return self.last(both)


class DataDependent(nn.Module):
    """Which way it goes depends on the values of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.dark, self.bright = conv(3, 4), conv(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.bright(x) if x.mean() > 0 else self.dark(x)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.last = conv(3, 4), conv(1, 4), conv(4, 4)

    def forward(self, image: Tensor, depth: Tensor) -> Tensor:
        return self.last(self.left(image) + self.right(depth))


class Two(nn.Module):
    """Two outputs; the first of them is on the way to the second."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.early1, self.early2 = conv(3, 4), conv(4, 4), conv(4, 4)
        self.late1, self.late2 = conv(4, 4), conv(4, 4)

    def forward(self, x: Tensor) -> dict[str, Any]:
        x = self.stem(x)
        early = self.early1(x) + self.early2(x)
        return {"early": early, "late": [self.late1(early) + self.late2(early)]}


class Products(nn.Module):
    """Factors that are sums: a gate that reads what it multiplies, and one that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b, self.gate = conv(3, 4), conv(4, 4), conv(4, 4), conv(4, 4)
        self.c, self.d, self.other = conv(4, 4), conv(4, 4), conv(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        other, x = self.other(x), self.stem(x)
        x = self.a(x) + self.b(x)
        x = x * self.gate(x).sigmoid()
        return (self.c(x) + self.d(x)) * other


class Divides(nn.Module):
    """Branches of which zeros would be infinite, or not a number."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.log, self.inverse, self.root = conv(3, 4), conv(4, 4), conv(4, 4), conv(4, 4)
        self.a, self.b, self.fine = conv(4, 4), conv(4, 4), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        both = self.a(x) + self.b(x)
        both = both / both.norm(dim=1, keepdim=True)
        odd = self.log(x).abs().log() + 1 / self.inverse(x) + self.root(x).abs().pow(-0.5)
        return x + odd + both + self.fine(x).exp().log1p()


class Gated(nn.Module):
    """A sum, and a gate that reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b, self.gate = conv(3, 4), conv(4, 4), conv(4, 4), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.a(x) + self.b(x)
        return x * self.gate(x).sigmoid()


class Tricks(nn.Module):
    """Layers that must stay, each for another reason."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = conv(3, 8)
        self.grouped = conv(8, 8, groups=2)
        self.large = conv(8, 8, 11)
        self.subclass = Subclass(8, 8, 3, padding=1)
        self.hooked = conv(8, 8)
        self.hooked.register_forward_hook(lambda module, args, output: output)
        self.normed = nn.utils.parametrizations.weight_norm(conv(8, 8))
        self.tied, self.twin = conv(8, 8), conv(8, 8)
        self.twin.weight = self.tied.weight
        self.decayed, self.read = conv(8, 8), conv(8, 8)
        self.idle, self.unused = conv(8, 8), conv(8, 8)
        self.transposed = nn.ConvTranspose2d(8, 8, 2, 2)
        self.constant = nn.Parameter(torch.zeros(1, 8, 4, 4))
        self.of_constant = conv(8, 8)
        self.kernel = nn.Parameter(torch.zeros(8, 8, 3, 3))
        self.indices = nn.MaxPool2d(2, return_indices=True)
        self.dilated = nn.MaxPool2d(3, 1, 1, dilation=2)
        self.average = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.plain(x)
        for layer in (self.grouped, self.large, self.subclass, self.hooked, self.normed, self.tied, self.twin):
            x = layer(x)
        x = self.decayed(x) + 0 * self.decayed.weight.square().sum()
        x = self.read(x) * self.read.weight.shape[0]
        self.unused(x)
        x = F.conv2d(x, self.kernel, padding=1)
        x = x + self.of_constant(self.constant).mean()
        return self.average(self.transposed(self.indices(self.dilated(x))[0]))


class Subclass(nn.Conv2d):
    """It does more than a convolution."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()
