"""report.html of a network that natrl.optimize made cheaper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from natrl import formats
from natrl.documents import check_shape, read_json
from natrl.files.paths import absolute
from natrl.report.learning import learning_section
from natrl.report.network_plot import layers_figure
from natrl.report.page import flat, write_page
from natrl.report.picture import picture
from natrl.runs.directory import CONFIG, NETWORK
from natrl.runs.metrics import read_progress

__all__ = ["is_network", "write_network_report"]

REPORT = "report.json"

_COST = {"params": float, "madds": float}
_LATENCY = {"batch": int, "seconds": float, "spread": float, "device": str}
_FIGURES = {"cost": _COST, "validation_accuracy": float, "test_accuracy": float | None, "latency": [_LATENCY]}
_LAYER = {"name": str, "before": str, "after": str, "cost": _COST, "new_cost": _COST}
_ACCURACIES = {"validation": float, "test": float | None}
#: The original in other states, beside which the result is put; how each is told.
_OTHERS = {
    "recalibrated": ", with new batch-norm statistics before",
    "tuned_original": ", fine-tuned alike before",
}
_SHAPE = {  # of report.json, as far as the page shows it
    "model": str,
    "candidates": int,
    "before": _FIGURES,
    "after": _FIGURES,
    "layers": [_LAYER],
    "frozen": dict,
    "no_code": str | None,
}


def is_network(directory: Path) -> bool:
    """Whether `natrl.optimize` writes, or has written, to this directory."""
    return (directory / CONFIG).is_file() and NETWORK in read_json(directory / CONFIG)


def write_network_report(directory: Path | str) -> Path:
    """Writes report.html: accuracies and costs, layer by layer, and how the policy learned; returns its path.

    ValueError in one line if the directory is none of natrl.optimize's, or it is not finished.
    """
    directory = absolute(directory)
    config = read_json(directory / CONFIG)
    asked: Any = config.get(NETWORK)
    if not (directory / REPORT).is_file():
        raise ValueError(f"{directory} is not finished (no {REPORT}); the same command with --resume goes on")
    found = read_json(directory / REPORT)
    check_shape(asked, {"data": str, "budget": dict}, f"{directory / CONFIG}: {NETWORK}")
    check_shape(found, _SHAPE, str(directory / REPORT))
    if "verdicts" in found:
        check_shape(found["verdicts"], [str], f"{directory / REPORT}: verdicts")
    for other in _OTHERS:  # not in reports of before
        if found.get(other) is not None:
            check_shape(found[other], _ACCURACIES, f"{directory / REPORT}: {other}")
    try:
        content = _content(directory, asked, found) | {"versions": config.get("versions", {})}
    except (ValueError, ArithmeticError) as error:  # numbers that cannot be drawn or compared
        raise ValueError(f"{directory / REPORT}: not what natrl.optimize writes: {error}") from None
    return write_page(directory / "report.html", "network.html", content)


def _content(directory: Path, asked: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    layers, progress = found["layers"], read_progress(directory)
    changed = [layer for layer in layers if layer["before"] != layer["after"]]
    text = f"MAdds of {len(layers)} layers before and after; {len(changed)} were replaced"
    return {
        "name": f"{found['model']}: {directory.name}",
        "model": found["model"],
        "data": asked["data"],
        "images": found.get("images", ""),  # not in reports of before
        "budget": ", ".join(f"{kind} {limit}" for kind, limit in asked["budget"].items() if limit is not None),
        "candidates": found["candidates"],
        "figures": _figures(found),
        "layers": layers,
        "changed": len(changed),
        "picture": picture(layers_figure(layers), text),
        "frozen": found["frozen"],
        "no_code": found["no_code"],
        "verdicts": found.get("verdicts", []),  # not in reports of before
        **learning_section(pd.DataFrame(progress) if progress else None),
        "config": list(flat(asked)),
    }


def _figures(found: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Rows of (what, before, after, difference or share)."""
    before, after = found["before"], found["after"]
    measured, untested = found.get("measured", "accuracy"), after["test_accuracy"] is None
    rows = []
    for kind in ("validation",) if untested else ("test", "validation"):
        new = after[f"{kind}_accuracy"]
        olds = {"": before[f"{kind}_accuracy"]}
        olds |= {what: found[other][kind] for other, what in _OTHERS.items() if found.get(other) is not None}
        for what, old in olds.items():
            if untested or measured != "accuracy":
                was, now, gained = map(formats.score, (old, new, new - old))
                rows.append((f"{measured}{what}" if untested else f"{kind} {measured}{what}", was, now, gained))
                continue
            name = f"{kind} accuracy{what} (%)"
            rows.append((name, formats.accuracy(old), formats.accuracy(new), formats.points(new - old)))
    for field, name in (("madds", "MAdds"), ("params", "parameters")):
        old, new = before["cost"][field], after["cost"][field]
        rows.append((name, formats.count(old), formats.count(new), f"{new / max(old, 1):.1%}"))
    for old, new in zip(before["latency"], after["latency"], strict=True):
        runtime = old.get("runtime", "eager")  # not in reports of before
        by = "" if runtime == "eager" else f" by {runtime}"
        what = f"latency of {old['batch']} image{'s' if old['batch'] > 1 else ''} on {old['device']}{by} (ms)"
        texts = [formats.milliseconds(one["seconds"], one["spread"]) for one in (old, new)]
        rows.append((what, texts[0], texts[1], f"{new['seconds'] / old['seconds']:.1%}"))
    return rows
