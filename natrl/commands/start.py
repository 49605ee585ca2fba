"""natrl, alone: what to do next."""

from __future__ import annotations

from pathlib import Path

from natrl.files.paths import quote

__all__ = ["next_steps"]

FIRST = (
    ("natrl demo", "three acts on real data, five minutes on two cores"),
    ("natrl show DARTS", "operations and cost of an architecture"),
    (
        "natrl train --space nasbench201 --reward table:nasbench201 --out runs/first",
        "learn a policy, about two minutes",
    ),
    ("natrl doctor", "what this machine has, and what is wrong with it"),
)


def next_steps(folder: Path) -> list[tuple[str, str]]:
    """Commands and what they do, for someone in this folder: go on with its latest run, or start."""
    runs = sorted(
        (*folder.glob("*/config.json"), *folder.glob("*/*/config.json")), key=lambda file: file.stat().st_mtime
    )
    if not runs:
        return list(FIRST)
    run = quote(runs[-1].parent.relative_to(folder))
    if not (runs[-1].parent / "policy").is_dir():
        return [(f"natrl train --resume {run}", "go on with this run, which has not ended")]
    return [
        (f"natrl transform ARCH --policy {run}", "apply its policy to an architecture"),
        (f"natrl report {run}", "its curves and results as one HTML page"),
    ]
