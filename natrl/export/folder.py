"""All that the next person needs of an architecture, in a new folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from natrl.checks.arguments import checked
from natrl.checks.errors import said
from natrl.core.architecture import Architecture
from natrl.core.genotypes import to_darts, to_nasbench201, to_nat
from natrl.data.arrays import as_tensor
from natrl.export.code import model_code
from natrl.export.onnx_file import check_onnx, export_onnx
from natrl.files.writing import new_folder
from natrl.networks import build_network, Network
from natrl.spaces import Skeleton
from natrl.training.weights import save_weights

__all__ = ["Weights", "export_architecture", "export_architectures", "notations"]

#: The state_dict of an architecture's network (`TrainingResult.weights`); None: it was not trained.
Weights = Mapping[str, np.ndarray] | None

_WRITERS: dict[str, Callable[[Architecture], str]] = {
    "darts.txt": to_darts,
    "nat.txt": to_nat,
    "nasbench201.txt": to_nasbench201,
}


@checked
def export_architecture(
    architecture: Architecture, skeleton: Skeleton, folder: Path | str, *, weights: Weights = None, onnx: bool = False
) -> list[Path]:
    """Writes a folder that does not exist yet, or is empty, whole or not at all; returns the files.

    The notations (`notations`) and model.py; with weights model.safetensors; with `onnx` model.onnx, with
    those weights or else random ones. ValueError if there is something in the folder, the skeleton cannot stack the
    cells, the weights do not fit, or ONNX is not installed.
    """
    with new_folder(folder) as fresh:
        _write(architecture, skeleton, fresh, weights, onnx)
    return sorted(Path(folder).iterdir())


def export_architectures(
    architectures: Mapping[str, tuple[Architecture, Weights]],
    skeleton: Skeleton,
    folder: Path | str,
    *,
    onnx: bool = False,
) -> list[Path]:
    """As `export_architecture`, each of the named architectures in a folder of its own; returns these folders."""
    with new_folder(folder) as fresh:
        names = folder_names(list(architectures))
        for name, (architecture, weights) in zip(names, architectures.values(), strict=True):
            (fresh / name).mkdir()
            _write(architecture, skeleton, fresh / name, weights, onnx)
    return [Path(folder) / name for name in names]


def folder_names(names: Sequence[str]) -> list[str]:
    """A different folder name for each text, as like it as can be: letters, digits, dots, dashes and underscores."""
    found: list[str] = []
    for name in names:
        base = re.sub(r"[^\w.-]+", "-", Path(name).stem).strip(".-")[:60] or "architecture"
        number, wanted = 2, base
        while wanted.lower() in {other.lower() for other in found}:
            wanted = f"{base}-{number}"
            number += 1
        found.append(wanted)
    return found


def notations(architecture: Architecture) -> dict[str, str]:
    """File name → text, ending in a newline; `natrl.parse` reads each back.

    architecture.json always; darts.txt (pairs) and nat.txt (triples), or nasbench201.txt, where the architecture has
    such a form.
    """
    texts = {"architecture.json": architecture.to_json() + "\n"}
    for name, write in _WRITERS.items():
        try:
            texts[name] = write(architecture) + "\n"
        except ValueError:  # it is none of that kind
            continue
    return texts


def _write(architecture: Architecture, skeleton: Skeleton, folder: Path, weights: Weights, onnx: bool) -> None:
    texts = {**notations(architecture), "model.py": model_code(architecture, skeleton)}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    if weights is None and not onnx:
        return
    if onnx:
        check_onnx()
    network = _network(architecture, skeleton, weights)
    if weights is not None:
        save_weights(network, folder / "model.safetensors")
    if onnx:
        images = torch.zeros(2, skeleton.image_channels, skeleton.image_size, skeleton.image_size)
        export_onnx(network, images, folder / "model.onnx")


def _network(architecture: Architecture, skeleton: Skeleton, weights: Weights) -> Network:
    """The network, with the weights if there are any."""
    network = build_network(architecture, skeleton)
    if weights is not None:
        try:
            network.load_state_dict({name: as_tensor(value) for name, value in weights.items()})
        except RuntimeError as error:
            raise ValueError(f"the weights do not fit the network: {said(error)}") from None
    return network
