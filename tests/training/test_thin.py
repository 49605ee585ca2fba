"""Where the gradient of a convolution would end the process."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from natrl.training.thin import thin_guarded


@pytest.mark.parametrize(
    ("convolution", "is_thin"),
    [
        (nn.Conv2d(4, 8, 1, 2), True),
        (nn.Conv2d(16, 8, 1, 2, groups=4), True),
        (nn.Conv2d(8, 8, 1, 2), False),
        (nn.Conv2d(4, 8, 1), False),
        (nn.Conv2d(4, 8, 3, 2, padding=1), False),
    ],
)
def test_thin_convolutions_with_stride_get_contiguous_inputs(convolution, is_thin):
    seen = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = convolution
            convolution.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].is_contiguous()))

        def forward(self, x):
            return self.convolution(x)

    x = torch.randn(2, convolution.in_channels, 8, 8).contiguous(memory_format=torch.channels_last)
    network = Watched().to(memory_format=torch.channels_last)
    with thin_guarded(network):
        network(x)
    network(x)
    assert seen == [is_thin, False]
    if convolution.kernel_size == (1, 1):
        assert (convolution.weight.stride()[-1] == 1) == is_thin
