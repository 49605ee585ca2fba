"""The demo's network, which actors have to import and so stands alone."""

from __future__ import annotations

from torch import nn, Tensor

__all__ = ["Digits"]


class Digits(nn.Module):
    """A residual network for images of one channel, with a 5×5 stem and kernels of 3 and 5."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.stem = _block(1, channels, 5)
        self.first, self.second = _block(channels, channels, 3), _block(channels, channels, 3)
        self.down, self.third = _block(channels, 2 * channels, 3, stride=2), _block(2 * channels, 2 * channels, 5)
        self.fourth = _block(2 * channels, 2 * channels, 3)
        self.classifier = nn.Linear(2 * channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.second(self.first(x))
        x = self.down(x)
        x = x + self.fourth(self.third(x))
        return self.classifier(x.mean((2, 3)))


def _block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
