"""natrl doctor"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from natrl.commands.options import Address, Json

if TYPE_CHECKING:
    from natrl.tuning.doctor import Diagnosis

__all__ = ["doctor"]

#: What a report of a fault should name; `--json` has all of them.
SHOWN = ("python", "ray", "torch", "torchvision", "gymnasium", "numpy", "pandas")


def doctor(address: Address = None, as_json: Json = False) -> None:
    """Versions, devices, Ray's resources, free disk, and what is wrong: exit code 1 if anything is.

    Example: natrl doctor --address auto
    """
    from natrl import __version__
    from natrl.tuning.doctor import diagnose

    found = diagnose(address)
    if as_json:
        print(json.dumps({"natrl": __version__, **asdict(found)}))
    else:
        console = Console(highlight=False)
        console.print(_table(__version__, found))
        for problem in found.problems:
            console.print(f"[bold red]wrong:[/] {problem}", soft_wrap=True)
        if not found.problems:
            console.print("[green]nothing is wrong[/]; next: natrl demo")
    if found.problems:
        raise typer.Exit(1)


def _table(natrl: str, found: Diagnosis) -> Table:
    table = Table(box=None, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    table.add_row("natrl", natrl)
    table.add_row("versions", ", ".join(f"{name} {found.versions.get(name, 'missing')}" for name in SHOWN))
    for device in found.devices:
        table.add_row("device", ", ".join(_part(name, value) for name, value in device.items()))
    table.add_row("Ray", ", ".join(_part(name, value) for name, value in found.ray.items()) or "none")
    for folder, gb in found.disk.items():
        table.add_row("free disk", f"{gb:,.0f} GB at {folder}")
    return table


def _part(name: str, value: object) -> str:
    """`{"memory_gb": 84.9}` as "84.9 GB memory"."""
    if name == "name":
        return str(value)
    if isinstance(value, bool):
        return name if value else f"no {name}"
    if name.endswith("_gb"):
        return f"{value:.1f} GB {name.removesuffix('_gb').replace('_', ' ')}"
    return f"{value:g} {name}"
