"""Precision and device where there is no GPU, and where one is said to be there."""

from __future__ import annotations

import pytest
import torch

from natrl.training.device import default_device, use_bf16


def test_a_cpu_computes_in_float32_unless_asked():
    cpu = default_device("cpu")
    assert [use_bf16(wanted, cpu) for wanted in (None, False, True)] == [False, False, True]


def test_a_gpu_is_taken_where_there_is_one_and_its_precision_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert default_device() == torch.device("cuda")
    assert default_device("cpu") == torch.device("cpu")
    for supported in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, s=supported: s)
        assert use_bf16(None, torch.device("cuda")) is supported
        assert use_bf16(False, torch.device("cuda")) is False


def test_an_unknown_device_is_refused_in_a_short_line():
    with pytest.raises(ValueError, match=r"^unknown device 'gpu': cpu, cuda or cuda:1, say$"):
        default_device("gpu")
