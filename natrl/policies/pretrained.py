"""Policies that come with natrl: `pretrained`, or `pretrained:NAME`, where a policy's directory may stand.

Each is a folder here: policy.json, policy.safetensors and card.json (what it learned from, by which command, and what
it is worth on architectures that it never started from). benchmarks/pretrain.py makes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from natrl.documents import read_json
from natrl.files.paths import absolute

__all__ = ["FOLDER", "PRETRAINED", "card", "pretrained_names", "policy_path"]

PRETRAINED = "pretrained"
DEFAULT = "nasbench201-cifar10"
FOLDER = Path(__file__).parent / PRETRAINED


def pretrained_names() -> tuple[str, ...]:
    """Those that there are."""
    return tuple(sorted(folder.parent.name for folder in FOLDER.glob("*/card.json")))


def policy_path(run_or_dir: Path | str) -> Path:
    """The directory that is meant, absolute: of a policy that comes with natrl, or as it is given.

    A directory of that name comes first. ValueError on an unknown name, with those that there are.
    """
    text = str(run_or_dir)
    kind, _, name = text.partition(":")
    if kind != PRETRAINED or Path(text).exists():
        return absolute(run_or_dir)
    if (name or DEFAULT) not in pretrained_names():
        raise ValueError(f"unknown policy {text!r}; natrl comes with {', '.join(pretrained_names())}")
    return FOLDER / (name or DEFAULT)


def card(name: str = DEFAULT) -> dict[str, Any]:
    """What a policy that comes with natrl learned from, and what it is worth. ValueError on an unknown name."""
    return read_json(policy_path(f"{PRETRAINED}:{name}") / "card.json")
