"""natrl show, for a network: what could become of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console

from natrl.commands.options import refuse
from natrl.core.transitions import check_choice, Rule

__all__ = ["NetworkMoves", "NetworkRule", "show_network"]

NetworkRule = Annotated[
    str | None,
    typer.Option(help="Of a network: which moves there are, nat++ or nat.", metavar="NAME", show_default="nat++"),
]
NetworkMoves = Annotated[
    str | None,
    typer.Option(
        help="Of a network: what may change, of types, kernels, ranks, branches, widths; or all.",
        metavar="NAMES",
        show_default="all",
    ),
]


def show_network(
    reference: str,
    *,
    image_size: int | None,
    classes: int | None,
    rule: str,
    moves: str | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Prints slots and moves, what stays and why, and the smallest cost that can be reached. Nothing is trained."""
    import torch

    from natrl.core.moves import moves_from
    from natrl.modules.importing import from_module
    from natrl.modules.references import input_shape, load_network
    from natrl.report.moves import moves_of

    check_choice("rule", rule, Rule)
    moves_from(moves)
    own = reference.partition(":")[0] not in ("torchvision", "timm")
    if own:
        refuse({"--classes": classes}, f"{reference} says by itself how many classes there are")
    network = load_network(reference, num_classes=classes, untrained=True)
    channels, *size = input_shape(reference, network)
    if image_size is not None:
        size = [image_size, image_size]
    try:
        space = from_module(network, torch.zeros(2, channels, *size), moves=moves or "all")
    except ValueError as error:
        said = "×".join(map(str, (channels, *size)))
        hint = f"; it was run on images of {said}: --image-size PX gives others" if own and image_size is None else ""
        raise ValueError(f"{error}{hint}") from None
    found = moves_of(space, cast(Rule, rule))
    if picture is not None:
        from natrl.drawing.architectures import draw

        draw(space.architecture, picture, networks=space, title=reference)
    if as_json:
        print(json.dumps({"network": reference} | found.to_dict()))
        return
    console = Console()
    console.print(found.tables(reference), highlight=False)
    if picture is not None:
        console.print(f"picture: {picture}")
