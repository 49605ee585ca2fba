"""What all benchmarks print: JSON rows that carry the revision and the machine."""

from __future__ import annotations

import json
import os
import platform
from typing import Any

from natrl.runs.directory import versions

__all__ = ["print_row"]


def print_row(benchmark: str, **values: Any) -> None:
    """One JSON object on a line: what was measured, floats to four digits, and where."""
    shown = {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in values.items()}
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    found = versions()
    print(json.dumps({"benchmark": benchmark, **shown, "machine": machine, "git": found["git"]}), flush=True)
