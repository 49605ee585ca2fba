"""Policies on disk: policy.json (what it is) and policy.safetensors (its weights). Nothing is unpickled.

A policy that takes the place of another puts its weights beside the other's, under the other of two names; policy.json,
which names the file, is replaced at one stroke. Whoever is killed leaves the one or the other.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from natrl.checks.errors import said
from natrl.core.operations import BUILT_IN, KERNELS, TYPES, VOCABULARY
from natrl.documents import read_json
from natrl.files.writing import replacing, write_json
from natrl.policies.encoder import FIRST_KERNELS, FIRST_TYPES
from natrl.policies.network import PolicyConfig, PolicyNetwork
from natrl.spaces import FEATURES
from natrl.training.weights import read_weights

__all__ = ["StoredPolicy", "copy_policy", "policy_folder", "read_policy", "write_policy"]

FORMAT = "natrl.policy"
BUILT_IN_ROWS = {"of_type.weight": FIRST_TYPES, "of_kernel.weight": FIRST_KERNELS}
DOCUMENT, WEIGHTS = "policy.json", "policy.safetensors"
NAMES = (WEIGHTS, "policy-2.safetensors")  # of the weights' file


@dataclass(frozen=True)
class StoredPolicy:
    """What policy.json says beside the network."""

    space: str
    rule: str
    cost: str


def write_policy(directory: Path, network: PolicyNetwork, stored: StoredPolicy) -> None:
    """Writes a policy into the directory, which is made if need be; one that is there gives way at one stroke."""
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
        "types": list(TYPES),
        "kernels": list(KERNELS),
        "features": list(FEATURES),
    }
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    _write(directory, document, lambda path: save_file(tensors, path))


def copy_policy(source: Path, target: Path) -> None:
    """Copies a policy's folder to another, where it takes the place of a policy as `write_policy` has it."""
    document = _read_document(source / DOCUMENT)
    weights = source / _weights_name(source / DOCUMENT, document)
    _write(target, document, lambda path: shutil.copyfile(weights, path))


def _write(directory: Path, document: dict[str, Any], write_weights: Callable[[Path], object]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    try:
        old = _weights_name(directory / DOCUMENT, read_json(directory / DOCUMENT))
    except ValueError:  # there is none, or a damaged one
        old = NAMES[1]
    name = next(name for name in NAMES if name != old)
    with replacing(directory / name) as fresh:
        write_weights(fresh)
    write_json(directory / DOCUMENT, document | {"weights": name})
    (directory / old).unlink(missing_ok=True)


def _weights_name(path: Path, document: dict[str, Any]) -> str:
    """The file of the weights, as policy.json has it; in those of before it has the usual name."""
    name = document.get("weights", WEIGHTS)
    if name not in NAMES:
        raise ValueError(f'{path}: "weights" must be {" or ".join(NAMES)}, got {name!r:.60}')
    return name


def read_policy(path: Path) -> tuple[PolicyNetwork, StoredPolicy]:
    """The network and what it was made for, from a policy's folder or a run directory that holds one.

    Operations that were registered since, or appended to the vocabulary, get the embeddings that a new network has.
    ValueError in one line if there is none, if it is damaged, or if it was made with another vocabulary.
    """
    directory = policy_folder(path)
    document = _read_document(directory / DOCUMENT)
    try:
        config = PolicyConfig.from_dict(document["config"])
        stored = StoredPolicy(*(str(document[name]) for name in ("space", "rule", "cost")))
    except KeyError as error:
        raise ValueError(f"{directory / DOCUMENT}: the entry {error} is missing") from None
    except ValueError as error:
        raise ValueError(f"{directory / DOCUMENT}: {error}") from None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of what was appended since: the same at each loading
        network = PolicyNetwork(config)
    weights = directory / _weights_name(directory / DOCUMENT, document)
    return _read_weights(weights, network, _known(document)), stored


def policy_folder(path: Path) -> Path:
    """The folder of a policy: this one, or that in a run directory. ValueError if there is none."""
    for directory in (path, path / "policy"):
        if (directory / DOCUMENT).is_file():
            return directory
    reason = f"neither {DOCUMENT} nor policy/{DOCUMENT} is in it" if path.is_dir() else "there is no such directory"
    raise ValueError(f"{str(path)!r} is neither a policy nor a run: {reason}")


def _known(document: dict[str, Any]) -> dict[str, list[Any]]:
    """Types and kernels by row, of each embedding; of before they were written: as many of ours as it has rows."""
    found = {"of_type.weight": document.get("types", TYPES), "of_kernel.weight": document.get("kernels", KERNELS)}
    return {name: rows if isinstance(rows, list) else [] for name, rows in found.items()}


def _extends(made_with: list[Any], known: tuple[str, ...]) -> bool:
    """Whether the known operations hold these: natrl's own of then in their order, then registered ones in any."""
    own = [name for name in made_with if name in BUILT_IN]
    return own == made_with[: len(own)] == list(known[: len(own)]) and all(name in known for name in made_with)


def _read_document(path: Path) -> dict[str, Any]:
    document = read_json(path)
    if document.get("format") != FORMAT:
        raise ValueError(f'{path} is not a policy: "format" must be "{FORMAT}"')
    if document.get("version") != 1:
        raise ValueError(f"{path}: policy version {document.get('version')!r} is unknown; this natrl reads version 1")
    for name, what, known in (
        ("vocabulary", "another vocabulary", tuple(VOCABULARY)),
        ("features", "other features", FEATURES),
    ):
        made_with = document.get(name)
        fits = isinstance(made_with, list) and (
            _extends(made_with, known) if name == "vocabulary" else tuple(made_with) == known
        )
        if not fits or not made_with:
            words = made_with if isinstance(made_with, list) else []
            size = len(words) or "no"
            differing = sorted({str(word) for word in words} ^ set(known))[:3]
            raise ValueError(
                f"{path}: the policy was made with {what} ({size} entries, this natrl has {len(known)}"
                f"{'; differing: ' + ', '.join(differing) if differing else '; in another order'}); train it again"
            )
    return document


def _read_weights(path: Path, network: PolicyNetwork, known: dict[str, list[Any]]) -> PolicyNetwork:
    """`known`: the types and kernels that the stored embeddings have rows for."""
    own = network.state_dict()
    weights = {name: _placed(name, tensor, own, known) for name, tensor in read_weights(path).items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit its {DOCUMENT}: {said(error)}") from None
    return network.eval()


def _placed(name: str, tensor: torch.Tensor, own: dict[str, torch.Tensor], known: dict[str, list[Any]]) -> torch.Tensor:
    """An embedding of types or kernels with its rows where ours are, the network's own elsewhere; other tensors."""
    part = next((part for part in known if name.endswith(part)), None)
    if part is None or name not in own or tensor.shape[1:] != own[name].shape[1:]:
        return tensor
    ours = TYPES if part == "of_type.weight" else KERNELS
    if len(tensor) < BUILT_IN_ROWS[part]:
        return tensor
    rows = own[name].clone()
    for row, value in zip(tensor, known[part], strict=False):
        if value in ours:
            rows[ours.index(value)] = row
    return rows
