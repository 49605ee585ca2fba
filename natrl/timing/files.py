"""Tables of times on disk: for which network, runtime, device, batch and versions they hold, and what they say."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from natrl.documents import check_shape, read_json
from natrl.files.writing import write_json
from natrl.modules.space import ModuleSpace
from natrl.timing.table import Check, TimeTable

__all__ = ["conditions", "read_tables", "write_tables"]

_SECONDS = "times by layer, in seconds"
_TABLE = {"batch": int, "original": float, "slope": float, "check": dict, "layers": dict, "left": dict}
_CHECK = {"networks": int, "correlation": float | None, "error": float | None}


def conditions(space: ModuleSpace, runtime: str, device: str) -> dict[str, Any]:
    """All that times depend on but the batch, JSON-ready."""
    packages = ("torch", "onnxruntime") if runtime == "onnxruntime" else ("torch",)
    return {
        "network": space.digest,
        "inputs": [list(tensor.shape[1:]) for tensor in space.example],
        "runtime": runtime,
        "device": _name_of(device),
        "threads": torch.get_num_threads(),
        "versions": {name: _version(name) for name in packages},
    }


def write_tables(path: Path, tables: dict[int, TimeTable], of: dict[str, Any]) -> None:
    """Writes tables by batch, whole or not at all."""
    documents = [
        {
            "batch": batch,
            "original": table.original,
            "slope": table.slope,
            "check": {k: None if v != v else v for k, v in table.check._asdict().items()},
            "layers": table.layers,
            "left": table.left,
        }
        for batch, table in tables.items()
    ]
    write_json(path, {"what": _SECONDS, "of": of, "tables": documents})


def read_tables(path: Path, space: ModuleSpace, of: dict[str, Any]) -> dict[int, TimeTable]:
    """Tables by batch. ValueError in one line where the file is none, or holds times of something else."""
    found = read_json(path)
    if found.get("what") != _SECONDS:
        raise ValueError(f"{path} holds no {_SECONDS}; give the times.json of a run, or a new name")
    check_shape(found, {"what": str, "of": dict, "tables": [_TABLE]}, str(path))
    for name, wanted in of.items():
        if (has := found["of"].get(name)) != wanted:
            other = "" if name == "network" else f" ({has!r:.60}, here {wanted!r:.60})"
            raise ValueError(f"{path}: times of another {name}{other}; give another file, or delete this one")
    tables = {}
    for document in found["tables"]:
        check_shape(document["check"], _CHECK, f"{path}: check")
        told = document["check"]
        check = Check(told["networks"], *(np.nan if told[k] is None else told[k] for k in ("correlation", "error")))
        for slot in space.slots:
            if slot.operation not in document["layers"].get(slot.name, {}):
                raise ValueError(f"{path}: no time of layer {slot.name!r}; delete the file, and it is measured again")
        tables[document["batch"]] = TimeTable(
            space, document["layers"], document["left"], document["original"], document["slope"], check
        )
    return tables


def _name_of(device: str) -> str:
    """A CPU or GPU by its name."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{device}: {torch.backends.cpu.get_cpu_capability()}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
