"""Policies that come with natrl: `pretrained`, or `pretrained:NAME`, where a policy's directory may stand.

Each is a folder here: policy.json, policy.safetensors and card.json (what it learned from, by which command, and what
it is worth on architectures that it never started from). benchmarks/pretrain.py makes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from natrl.core.architecture import Architecture
from natrl.documents import read_json
from natrl.files.paths import absolute
from natrl.spaces import space

__all__ = ["FOLDER", "PRETRAINED", "card", "policy_path", "pretrained_for", "pretrained_names", "shipped"]

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
    name = shipped(run_or_dir)
    if name is None:
        return absolute(run_or_dir)
    if name not in pretrained_names():
        raise ValueError(f"unknown policy {str(run_or_dir)!r}; natrl comes with {', '.join(pretrained_names())}")
    return FOLDER / name


def shipped(run_or_dir: Path | str) -> str | None:
    """The name of the policy that comes with natrl, there or not; None where a directory is meant."""
    text = str(run_or_dir)
    kind, _, name = text.partition(":")
    return None if kind != PRETRAINED or Path(text).exists() else name or DEFAULT


def pretrained_for(architecture: Architecture) -> str:
    """`pretrained:NAME` of one whose space has the architecture. ValueError with those that there are if none has."""
    names = sorted(pretrained_names(), key=lambda name: name != DEFAULT)
    spaces = {name: card(name)["space"] for name in names}
    refusals: dict[str, str] = {}
    for name, of in spaces.items():
        try:
            space(of).check(architecture)
        except ValueError as error:
            refusals[of] = str(error)
            continue
        return f"{PRETRAINED}:{name}"
    known = ", ".join(f"{PRETRAINED}:{name}" for name in spaces)
    raise ValueError(
        f"natrl comes with no policy for this architecture, only with {known}: {'; '.join(refusals.values())}"
    )


def card(name: str = DEFAULT) -> dict[str, Any]:
    """What a policy that comes with natrl learned from, and what it is worth. ValueError on an unknown name."""
    return read_json(policy_path(f"{PRETRAINED}:{name}") / "card.json")
