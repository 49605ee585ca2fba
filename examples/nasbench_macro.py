"""NAS-Bench-Macro (arXiv 2103.11922): operations and a space of one's own.

natrl train --space examples.nasbench_macro:SPACE --reward table:accuracies.csv
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import natrl
from natrl.core.operations import Convolution

if TYPE_CHECKING:
    from torch import nn


def mbconv(name: str, expansion: int, kernel: int, may_become: tuple[str, ...]) -> None:
    """Registers an inverted bottleneck: 1×1 up, depthwise, 1×1 down."""

    def stages(i: int, o: int, stride: int) -> tuple[tuple[Convolution, ...], ...]:
        e = expansion * i
        depthwise = Convolution(e, e, (kernel, kernel), (stride, stride), groups=e)
        return (Convolution(i, e, (1, 1)),), (depthwise,), (Convolution(e, o, (1, 1)),)

    def build(i: int, o: int, stride: int) -> nn.Module:
        from torch import nn

        class MBConv(nn.Sequential):
            def forward(self, x):  # type: ignore[no-untyped-def]
                y = super().forward(x)
                return x + y if x.shape == y.shape else y

        parts: list[nn.Module] = []
        for (c,) in stages(i, o, stride):
            size = c.kernel[0]
            conv = nn.Conv2d(c.in_channels, c.out_channels, size, c.stride, size // 2, groups=c.groups, bias=False)
            parts += [conv, nn.BatchNorm2d(c.out_channels), nn.ReLU()]
        return MBConv(*parts[:-1])

    natrl.register_operation(
        name, type="mbconv", kernel=kernel, stages=stages, build=build, may_become=may_become, color="#7A5195"
    )


mbconv("mb3_3x3", 3, 3, ())
mbconv("mb6_5x5", 6, 5, ("mb3_3x3",))
SPACE = natrl.ChainSpace(
    "nasbench_macro",
    layers=[(w, v, 2 if w != v else 1) for w, v in ((32, 64), (64, 64), (64, 128), (128, 128), (128, 128),
                                                    (128, 256), (256, 256), (256, 256))],
    primitives=("mb6_5x5", "mb3_3x3", "skip_connect"),
    stem=[Convolution(3, 32, (3, 3))],
    head=[Convolution(256, 1280, (1, 1))],
)  # fmt: skip
