"""Where networks compute, and with which precision."""

from __future__ import annotations

import torch

__all__ = ["default_device", "free_memory", "precision", "use_bf16"]


def default_device(device: torch.device | str | None = None) -> torch.device:
    """The device given; else the GPU where there is one (Ray lets an actor see the one it was given), or the CPU.

    ValueError on a name that torch does not know.
    """
    try:
        return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:  # lists more than a dozen kinds
        raise ValueError(f"unknown device {device!r:.40}: cpu, cuda or cuda:1, say") from None


def use_bf16(wanted: bool | None, device: torch.device) -> bool:
    """Whether to autocast to bfloat16; None: on GPUs that compute in it."""
    if wanted is None:
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return wanted


def precision(device: torch.device, bf16: bool) -> dict[str, str | bool]:
    """What the last digits of a score depend on besides its settings, JSON-ready: device, bfloat16 or not, torch."""
    major, minor, *_ = torch.__version__.split(".")
    return {"device": device.type, "bf16": bf16, "torch": f"{major}.{minor}"}


def free_memory(device: torch.device) -> None:
    """Hands GPU memory that torch keeps for later back to others."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
