"""Policies on disk: policy.json (what it is) and policy.safetensors (its weights). Nothing is unpickled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from natrl.files import replacing, write_atomically
from natrl.operations import VOCABULARY
from natrl.policies.network import PolicyConfig, PolicyNetwork
from natrl.spaces import FEATURES

__all__ = ["StoredPolicy", "read_policy", "write_policy"]

FORMAT = "natrl.policy"
DOCUMENT, WEIGHTS = "policy.json", "policy.safetensors"


@dataclass(frozen=True)
class StoredPolicy:
    """What policy.json says beside the network."""

    space: str
    rule: str
    cost: str


def write_policy(directory: Path, network: PolicyNetwork, stored: StoredPolicy) -> None:
    """Writes both files; each appears whole or not at all."""
    from natrl import __version__

    document = {
        "format": FORMAT,
        "version": 1,
        "natrl": __version__,
        "space": stored.space,
        "rule": stored.rule,
        "cost": stored.cost,
        "config": network.config.to_dict(),
        "vocabulary": list(VOCABULARY),
        "features": list(FEATURES),
    }
    directory.mkdir(parents=True, exist_ok=True)
    with replacing(directory / WEIGHTS) as fresh:
        save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, fresh)
    write_atomically(directory / DOCUMENT, json.dumps(document, indent=1) + "\n")


def read_policy(path: Path) -> tuple[PolicyNetwork, StoredPolicy]:
    """The network and what it was made for, from a policy's folder or a run directory that holds one.

    ValueError in one line if there is none, if it is damaged, or if it was made with another vocabulary.
    """
    for directory in (path, path / "policy"):
        if (directory / DOCUMENT).is_file():
            break
    else:
        reason = f"neither {DOCUMENT} nor policy/{DOCUMENT} is in it" if path.is_dir() else "there is no such directory"
        raise ValueError(f"{str(path)!r} is neither a policy nor a run: {reason}")
    document = _read_document(directory / DOCUMENT)
    try:
        config = PolicyConfig.from_dict(document["config"])
        stored = StoredPolicy(*(str(document[name]) for name in ("space", "rule", "cost")))
    except KeyError as error:
        raise ValueError(f"{directory / DOCUMENT}: the entry {error} is missing") from None
    except ValueError as error:
        raise ValueError(f"{directory / DOCUMENT}: {error}") from None
    return _read_weights(directory / WEIGHTS, PolicyNetwork(config)), stored


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f'{path} is not a policy: "format" must be "{FORMAT}"')
    if document.get("version") != 1:
        raise ValueError(f"{path}: policy version {document.get('version')!r} is unknown; this natrl reads version 1")
    for name, what, known in (
        ("vocabulary", "another vocabulary", tuple(VOCABULARY)),
        ("features", "other features", FEATURES),
    ):
        made_with = document.get(name)
        if not isinstance(made_with, list) or tuple(made_with) != known:
            size = len(made_with) if isinstance(made_with, list) else "no"
            differing = sorted({str(word) for word in made_with or ()} ^ set(known))[:3]
            raise ValueError(
                f"{path}: the policy was made with {what} ({size} entries, this natrl has {len(known)}"
                f"{'; differing: ' + ', '.join(differing) if differing else '; in another order'}); train it again"
            )
    return document


def _read_weights(path: Path, network: PolicyNetwork) -> PolicyNetwork:
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} is damaged or missing: {error}") from None
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit its {DOCUMENT}: {' '.join(str(error).split())[:200]}") from None
    return network.eval()
