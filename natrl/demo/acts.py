"""The acts of the demo: each is played into a folder, and says what it showed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import RenderableType
from rich.table import Table

from natrl.demo.cells import demonstrate
from natrl.demo.network import network
from natrl.demo.settings import CellsSettings, NetworkSettings, TruthSettings
from natrl.demo.truth import truth
from natrl.drawing.architectures import draw, save_figure
from natrl.files.writing import write_json
from natrl.report.front import front_figure
from natrl.report.html import write_report
from natrl.report.network import write_network_report
from natrl.report.network_plot import layers_figure
from natrl.report.results import Results, write_results
from natrl.report.side_by_side import side_by_side_sentence, side_by_side_table
from natrl.report.tables import comparison_table, summary_line
from natrl.report.truth import truth_figure, truth_sentence, truth_table
from natrl.tuning.progress import progress_bar

__all__ = ["PLAYED", "Shown"]


class Shown(NamedTuple):
    """What an act showed."""

    sentence: str
    tables: tuple[RenderableType, ...]
    files: tuple[Path, ...]  # the pictures and pages among what was written
    document: dict[str, Any]  # JSON-ready


def _truth(settings: TruthSettings, out: Path, command: str) -> Shown:
    with progress_bar() as bar:
        found = truth(settings, out, command=command, progress=bar)
    document = found.to_dict() | {"settings": asdict(settings), "command": command}
    write_json(out / "truth.json", document)
    save_figure(truth_figure(found), out / "truth.png", "png")
    save_figure(front_figure(found.front), out / "front.png", "png")
    return Shown(truth_sentence(found), (truth_table(found),), (out / "truth.png", out / "front.png"), document)


def _network(settings: NetworkSettings, out: Path, command: str) -> Shown:
    rows, found = network(settings, out)
    document = {"networks": [asdict(row) for row in rows], "settings": asdict(settings), "command": command}
    write_json(out / "network.json", document)
    save_figure(layers_figure([asdict(layer) for layer in found.layers]), out / "network.png", "png")
    page = write_network_report(found.directory)
    title = "digits: a residual network, and what was made of it"
    tables: tuple[Table, ...] = (found.table(), side_by_side_table(rows, title=title))
    return Shown(side_by_side_sentence(rows), tables, (out / "network.png", page), document)


def _cells(settings: CellsSettings, out: Path, command: str) -> Shown:
    results = demonstrate(settings, out, command=command)
    write_results(results, out / "results.json")
    files = (*_drawn(results, out), write_report(out))
    return Shown(summary_line(results), (comparison_table(results),), files, results.to_dict())


def _drawn(results: Results, out: Path) -> list[Path]:
    """PNGs of the architecture that changed most: alone before, and after with the changes marked."""
    made = {(row.name, row.variant): row.architecture for row in results.rows}
    pairs = {name: (made[name, "original"], made[name, "transformed"]) for name in results.names}
    name = max(pairs, key=lambda n: len(pairs[n][0].changes(pairs[n][1])))
    (old, new), networks = pairs[name], results.skeleton
    return [
        draw(old, out / "before.png", networks=networks, title=name),
        draw(new, out / "after.png", before=old, networks=networks, title=f"{name}, transformed"),
    ]


#: By name: plays it into a new folder; Ray must run. The last argument is the command that repeats it.
PLAYED: dict[str, Callable[[Any, Path, str], Shown]] = {"truth": _truth, "network": _network, "cells": _cells}
