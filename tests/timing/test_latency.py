"""Measured latency: what is measured, not how long it takes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn, Tensor

from natrl.timing.latency import measure_latency


class Counting(nn.Module):
    """Notes what it is asked, and works as often as it is told."""

    def __init__(self, repeats: int) -> None:
        super().__init__()
        self.repeats, self.calls = repeats, []
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append((tuple(x.shape), x.dtype, self.training, torch.is_grad_enabled()))
        for _ in range(self.repeats):
            x = self.norm(x)
        return x


def test_networks_run_in_evaluation_mode_without_gradients_on_the_batch() -> None:
    short, long = Counting(1), Counting(40)
    example = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    short.double(), long.double()
    first, second = measure_latency([short, long], example, batch=4, device="cpu", rounds=2, min_seconds=0.02)
    assert set(short.calls) == set(long.calls) == {((4, 3, 8, 8), torch.float64, False, False)}
    assert short.training
    assert (first.batch, first.device) == (4, "cpu")
    for latency in (first, second):
        assert 0 < latency.seconds < math.inf
        assert 0 <= latency.spread < math.inf
        assert latency.runs >= 2
    assert f"for {first.batch} on cpu" in str(first)


@pytest.mark.parametrize(
    ("example", "batch"), [(torch.ones(()), 1), (torch.ones(0, 3, 8, 8), 1), (torch.ones(1, 3, 8, 8), 0)]
)
def test_bad_input_is_refused(example: Tensor, batch: int) -> None:
    with pytest.raises(ValueError, match=r"an example must be a batch of inputs|must be at least 1"):
        measure_latency([nn.Identity()], example, batch=batch)
