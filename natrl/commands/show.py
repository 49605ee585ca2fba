"""natrl show"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.console import Console

from natrl.commands.options import Cells, Channels, Classes, ImageSize, Json, Picture
from natrl.core.genotypes import parse, zoo
from natrl.spaces import live_cost, network_cost, Skeleton
from natrl.spaces.nasbench201 import NasBench201Space

__all__ = ["default_skeleton", "resized", "show"]

ArchitectureArgument = Annotated[
    str,
    typer.Argument(
        help="Zoo name (DARTS, VGG …), file (genotypes.py:NAME of several), or text in any notation.",
        metavar="ARCH",
        autocompletion=lambda: list(zoo()),
    ),
]


def show(
    architecture: ArchitectureArgument,
    channels: Channels = None,
    cells: Cells = None,
    image_size: ImageSize = None,
    classes: Classes = None,
    picture: Picture = None,
    as_json: Json = False,
) -> None:
    """Operations, cost and picture of an architecture.

    Example: natrl show DARTS --picture darts.png
    """
    arch = parse(architecture)
    skeleton = resized(default_skeleton(arch.cells[0].inputs), channels, cells, image_size, classes)
    cost, live = network_cost(arch, skeleton), live_cost(arch, skeleton)
    if picture is not None:
        from natrl.drawing.architectures import draw

        draw(arch, picture, networks=skeleton, title=architecture if len(architecture) < 40 else None)
    if as_json:
        document = {
            "architecture": arch.to_dict(),
            "key": arch.key,
            "live": arch.is_live,
            "params": cost.params,
            "madds": cost.madds,
            "live_params": live.params,
            "live_madds": live.madds,
        }
        print(json.dumps(document))
        return
    from natrl.report.tables import slot_table

    console = Console()
    console.print(slot_table(arch, skeleton, title=architecture if len(architecture) < 40 else None))
    console.print(f"{cost.params:,} parameters, {cost.madds:,} MAdds (live parts {live.params:,} and {live.madds:,})")
    if not arch.is_live:
        console.print("[bold]This architecture is dead:[/bold] a cell has no path from input to output.")
    if picture is not None:
        console.print(f"picture: {picture}")


def default_skeleton(inputs: int) -> Skeleton:
    """The usual network for cells with so many inputs: NAS-Bench-201's for one, the papers' CIFAR network for two."""
    return NasBench201Space.skeleton if inputs == 1 else Skeleton()


def resized(
    skeleton: Skeleton,
    channels: int | None,
    cells: int | None,
    image_size: int | None = None,
    num_classes: int | None = None,
) -> Skeleton:
    """The skeleton with the numbers that a user gave, if any."""
    given = {"channels": channels, "cells": cells, "image_size": image_size, "num_classes": num_classes}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(skeleton, **chosen)
