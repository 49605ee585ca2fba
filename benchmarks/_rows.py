"""What all benchmarks print: JSON rows that carry the revision and the machine."""

from __future__ import annotations

import json
import os
import platform
from typing import Any

from natrl.runs.directory import versions

__all__ = ["print_row", "row"]


def row(benchmark: str, **values: Any) -> dict[str, Any]:
    """What was measured, floats to four digits, and where."""
    shown = {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in values.items()}
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    found = versions()
    return {"benchmark": benchmark, **shown, "machine": machine, "git": found["git"]}


def print_row(benchmark: str, **values: Any) -> None:
    """A row as one JSON object on a line."""
    print(json.dumps(row(benchmark, **values)), flush=True)
