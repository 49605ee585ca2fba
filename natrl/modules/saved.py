"""A replaced network on disk: model.safetensors (its weights) and choice.json (which layers became what).

With the user's constructor both give the network back; nothing is unpickled.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch import nn

from natrl.checks.arguments import checked
from natrl.checks.errors import said
from natrl.core.architecture import Architecture
from natrl.documents import check_shape, read_json
from natrl.files.writing import write_json
from natrl.modules.importing import from_module
from natrl.modules.space import ModuleSpace
from natrl.training.weights import read_weights, save_weights

__all__ = ["load_module", "save_module"]

FORMAT, VERSION = "natrl.module", 2  # 1: layers that only nulls feed or would read were kept
CHOICE, WEIGHTS = "choice.json", "model.safetensors"


def save_module(directory: Path | str, space: ModuleSpace, architecture: Architecture, network: nn.Module) -> Path:
    """Writes the network of an architecture of the space; the directory is made if need be, and returned."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "model": space.name,
        "operations": space.operations(architecture),
        "architecture": architecture.to_dict(),
    }
    if space.widths:
        document |= {"moves": sorted(space.moves), "width_multiple": space.width_multiple}
    save_weights(network, directory / WEIGHTS)
    write_json(directory / CHOICE, document)
    return directory


@checked
def load_module(model: nn.Module, example_input: Any, directory: Path | str) -> nn.Module:
    """The network that `save_module` wrote, of the class of `model`: the user's network as its constructor gives it.

    `example_input` as for `natrl.from_module`. ValueError in one line where the directory holds none, or that of
    another model.
    """
    directory = Path(directory)
    try:
        document = read_json(directory / CHOICE)
    except ValueError as error:
        reason = str(error).removeprefix(f"{directory}{os.sep}")
        raise ValueError(f"{directory} holds no network: {reason}") from None
    version = document.get("version")
    if document.get("format") != FORMAT or version not in range(1, VERSION + 1):
        raise ValueError(f'{directory / CHOICE}: "format" must be "{FORMAT}" and "version" at most {VERSION}')
    check_shape(document, {"operations": dict}, str(directory / CHOICE))
    space = from_module(
        model, example_input, moves=document.get("moves"), width_multiple=document.get("width_multiple", 1)
    )
    architecture = space.prune(space.with_operations(document["operations"]))  # by name: other layers may be slots now
    if version == 1 and (kept := space.left_out(space.check(architecture))):
        raise ValueError(
            f"{directory} was written by an earlier natrl, whose networks kept {', '.join(kept)}, which natrl now "
            "leaves out: transform the network again"
        )
    network = space.build(architecture)
    weights = read_weights(directory / WEIGHTS)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{directory / WEIGHTS} does not fit {space.name}: {said(error)}") from None
    return network
