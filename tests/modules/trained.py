"""A small network trained on digits, for the tests of what is made from it."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn, Tensor

from natrl.data import ImageData, load_data
from natrl.training.fitting import fit
from natrl.training.schedule import Schedule

__all__ = ["Residual", "digits", "narrow", "trained"]


class Residual(nn.Module):
    """A 5×5 stem, a residual block of two 3×3 convolutions, a strided convolution and a pooling."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 5, 1, 2)
        self.norm = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.down = nn.Conv2d(channels, 2 * channels, 3, 2, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(2 * channels)
        self.pool = nn.MaxPool2d(3, 1, 1)
        self.classifier = nn.Linear(2 * channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x)).relu()
        x = (x + self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))).relu()
        x = self.pool(self.norm3(self.down(x)).relu())
        return self.classifier(x.mean((2, 3)))

    def hello(self) -> str:
        """A method of the user's own."""
        return "hello"


@cache
def digits() -> ImageData:
    return load_data("digits")


@cache
def trained() -> Residual:
    """About a second; nobody may change it."""
    torch.manual_seed(0)
    model = Residual()
    fit(model, digits(), Schedule(epochs=5, batch_size=50, learning_rate=0.1, warmup=0.1), seed=0, device="cpu")
    return model.eval()


def narrow() -> Residual:
    """Another one, not trained."""
    torch.manual_seed(1)
    return Residual(channels=6)
