"""natrl transform, for a trained network: what natrl.optimize makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from natrl.commands.options import check_new

__all__ = ["is_reference", "transform_network"]

_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.\-]*")


def is_reference(text: str) -> bool:
    """Whether this names a network: "torchvision:NAME", "timm:NAME" or "module:function"."""
    return _REFERENCE.fullmatch(text) is not None


def transform_network(
    reference: str,
    *,
    data: str | None,
    image_size: int | None,
    weights: Path | None,
    budget: Mapping[str, str],
    policy: Path | None,
    candidates: int,
    seed: int,
    out: Path | None,
    resume: bool,
    onnx: bool,
    as_json: bool,
) -> None:
    """Loads the network and its data, optimizes, and prints layer by layer what became of it."""
    if data is None:
        raise ValueError(f"--data NAME is needed: {reference} is scored and fine-tuned on what it was trained on")
    if not resume:
        check_new(out)
    from natrl.data import batches, load_data
    from natrl.export.onnx_file import check_onnx, export_onnx
    from natrl.modules.limits import Limits
    from natrl.modules.references import load_network
    from natrl.tuning.modules import optimize, OptimizeSettings

    limits = Limits.of(budget)
    if onnx:
        check_onnx()
    images = load_data(data, seed=seed, image_size=image_size)
    model = load_network(reference, num_classes=images.num_classes, weights=weights)
    settings = OptimizeSettings(candidates=candidates, seed=seed)
    found = optimize(model, data=images, budget=limits, out=out, settings=settings, policy=policy, resume=resume)
    files = ["model.safetensors", "choice.json", "report.json", *(["model.py"] if found.code else [])]
    if onnx:
        example = next(batches(images.validation, 2))[0].contiguous()
        files.append(export_onnx(found.model, example, found.directory / "model.onnx").name)
    if as_json:
        print(json.dumps(found.to_dict()))
        return
    console = Console()
    console.print(found.table())
    console.print(found.summary(), highlight=False)
    console.print(f"{found.directory}: {', '.join(files)}", highlight=False, soft_wrap=True)
