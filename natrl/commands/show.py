"""natrl show"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.console import Console

from natrl.commands.moves import NetworkMoves, NetworkRule, show_network
from natrl.commands.network_options import is_reference
from natrl.commands.options import check_picture, Json, Picture, refuse
from natrl.commands.settings_options import flag, Options
from natrl.core.genotypes import parse, zoo
from natrl.spaces import live_cost, network_cost, Skeleton
from natrl.spaces.nasbench201 import NasBench201Space

__all__ = ["QUICK", "default_skeleton", "show"]

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
    *,
    shape: Annotated[dict[str, Any], Options(Skeleton, "channels? cells? image_size? num_classes?")],
    rule: NetworkRule = None,
    moves: NetworkMoves = None,
    picture: Picture = None,
    as_json: Json = False,
) -> None:
    """Operations, cost and picture of an architecture.

    Example: natrl show DARTS --picture darts.png

    Of a network, torchvision:NAME, timm:NAME or module:function, what could become of it, before anything is trained:
    the moves of its layers, which layers stay and why, and the smallest cost that can be reached.
    Example: natrl show torchvision:resnet50
    """
    check_picture(picture)
    if is_reference(architecture):
        refuse({flag(name): shape.get(name) for name in ("channels", "cells")}, f"{architecture} is a network")
        Skeleton(**shape)  # refuses sizes that cannot be
        show_network(
            architecture,
            image_size=shape.get("image_size"),
            classes=shape.get("num_classes"),
            rule=rule or "nat++",
            moves=moves,
            picture=picture,
            as_json=as_json,
        )
        return
    refuse({"--rule": rule, "--moves": moves}, "it is about networks: torchvision:NAME, timm:NAME or module:function")
    arch = parse(architecture)
    skeleton = replace(default_skeleton(arch.cells[0].inputs), **shape)
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


#: The network of cells that are trained in seconds.
QUICK = {"channels": 8, "cells": 3}


def default_skeleton(inputs: int) -> Skeleton:
    """The usual network for cells with so many inputs: NAS-Bench-201's for one, the papers' CIFAR network for two."""
    return NasBench201Space.skeleton if inputs == 1 else Skeleton()
