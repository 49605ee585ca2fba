"""Runtimes: what they run, and what they refuse in one line."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import pytest
import torch
from torch import nn, Tensor

from natrl.timing.latency import measure_latency
from natrl.timing.runtimes import device_of, prepared, RUNTIMES
from tests.modules.trained import trained

IMAGES = (torch.zeros(2, 1, 8, 8),)


def by_a_callable(network: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    return lambda: network(*inputs)


def by_seconds(network: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    return float(sum(p.numel() for p in network.parameters()))


def by_a_word(network: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    return "fast"


def that_fails(network: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    raise RuntimeError("the board\nis off")


def test_a_users_function_runs_a_network_or_tells_seconds() -> None:
    small, large = nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 2, 1, bias=False)
    for function in (by_a_callable, by_seconds):
        name = f"{__name__}:{function.__name__}"
        one, two = measure_latency([small, large], IMAGES, batch=3, runtime=name, rounds=2, min_seconds=0.001)
        assert (one.batch, one.runtime, one.device) == (3, name, "cpu")
        assert one.seconds > 0 < two.seconds
    assert (two.seconds, two.share, two.share_low, two.share_high) == (2, 2, 2, 2)


@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed")
def test_onnxruntime_gives_what_the_network_gives() -> None:
    network, images = trained().eval(), torch.randn(2, 1, 8, 8)
    run, clock = prepared("onnxruntime", network, (images,))
    assert clock is not None
    torch.testing.assert_close(torch.from_numpy(run()[0]), network(images).detach(), rtol=1e-3, atol=1e-4)


class Undecided(nn.Module):
    """Has a path of its own for each image, so that no exporter can follow it."""

    def forward(self, x: Tensor) -> Tensor:
        return x * len({float(v) for v in x.sum((1, 2, 3))}) if x.sum().item() > 0 else torch.linalg.eig(x)[1].abs()


@pytest.mark.parametrize(
    ("runtime", "network", "message"),
    [
        ("openvino", nn.Identity(), r"unknown runtime 'openvino'; known: eager, compile, onnxruntime, tensorrt, mod"),
        ("tensorrt", nn.Identity(), r"runtime 'tensorrt' needs (an NVIDIA GPU|the package)"),
        (f"{__name__}:by_a_word", nn.Identity(), "must return what runs once, or seconds, it returned 'fast'"),
        (f"{__name__}:that_fails", nn.Identity(), "the function raised RuntimeError: the board is off"),
        (f"{__name__}:IMAGES", nn.Identity(), "expected a function of a network and its inputs, got"),
        ("onnxruntime", Undecided(), "runtime 'onnxruntime' (needs|cannot take the network)"),
    ],
)
def test_what_is_refused_is_told_in_one_line(runtime: str, network: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        prepared(runtime, network, IMAGES)
    assert "\n" not in str(caught.value)


def test_a_missing_package_compiler_or_device_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match="needs the package onnxruntime: pip install onnxruntime"):
        prepared("onnxruntime", nn.Identity(), IMAGES)
    monkeypatch.setattr("natrl.timing.runtimes.shutil.which", lambda name: None)
    with pytest.raises(ValueError, match=r"'compile' needs a C\+\+ compiler"):
        prepared("compile", nn.Identity(), IMAGES)
    with pytest.raises(ValueError, match="unknown device 'nowhere'"):
        device_of("eager", "nowhere")
    with pytest.raises(ValueError, match=r"^device 'xpu' is not here; there is cpu[^;]*$"):
        device_of("eager", "xpu")
    assert RUNTIMES.names()[:2] == ("eager", "compile")
