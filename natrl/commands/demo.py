"""natrl demo"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from natrl.commands.options import Actors, Address, check_new, Gpus, invocation, Json, refuse, Seed, Verbose
from natrl.tuning.session import ray_session

__all__ = ["demo"]

#: The acts, in their order.
WHAT = {
    "truth": "a policy among 15,625 architectures that were all trained",
    "network": "a trained network, at half its cost",
    "cells": "the papers' setting: a supernet, a policy, everything trained again",
}


def demo(
    act: Annotated[
        str | None,
        typer.Argument(
            help="truth: a policy among architectures that were all trained; network: a trained network, at half its "
            "cost; cells: the papers' setting. All of them by default.",
            metavar="[ACT]",
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data set of cells.", metavar="NAME", show_default="digits")] = None,
    image_size: Annotated[
        int | None,
        typer.Option(help="Scale its images to this many pixels (8 keeps it quick).", metavar="PX"),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Trainings of each of the cells at the end.", metavar="N", show_default="3")
    ] = None,
    actors: Actors = 2,
    gpus_per_actor: Gpus = 0.0,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the training: shows the path, not the result.")
    ] = False,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Each act writes into a folder here; the default is demo, demo-2, …", metavar="DIR"
        ),
    ] = None,
    address: Address = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """What natrl does, in three acts of one to two minutes each; every figure is measured.

    Example: natrl demo --out demo
    Example: natrl demo network
    """
    acts = _acts(act)
    if "cells" not in acts:
        refuse({"--data": data, "--image-size": image_size, "--seeds": seeds}, f"{act} has no use for it")
    given = {"actors": actors, "gpus_per_actor": gpus_per_actor, "seed": seed}
    of_cells = {"data": data, "image_size": image_size, "seeds": seeds}
    check_new(out)
    folder = out or _free_name(Path("demo"))
    with ray_session(address, verbose=verbose):
        from natrl.data import load_data
        from natrl.demo.acts import ACTS, settings_of

        settings = settings_of(given | {k: v for k, v in of_cells.items() if v is not None}, quick=quick)
        cells = settings["cells"]
        if "cells" in acts:  # what cannot be read is said before anything is played
            load_data(cells.data, seed=cells.seed, image_size=cells.image_size)
        console, documents = Console(), {}
        for name in acts:
            if not as_json:
                console.rule(f"[bold]{name}[/]: {WHAT[name]}")
            shown = ACTS[name](settings[name], folder / name, invocation())
            documents[name] = shown.document
            if not as_json:
                console.print(*shown.tables, sep="\n")
                console.print(f"[bold]{shown.sentence}[/]", highlight=False)
                console.print(f"written: {', '.join(map(str, shown.files))}", highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps(documents))


def _acts(act: str | None) -> tuple[str, ...]:
    """Which ones are played. ValueError on an unknown name."""
    if act is None:
        return tuple(WHAT)
    if act not in WHAT:
        raise ValueError(f"unknown act {act!r}; known: {', '.join(WHAT)}")
    return (act,)


def _free_name(base: Path) -> Path:
    """base, base-2, base-3 …: the first that does not exist."""
    number = 2
    name = base
    while name.exists():
        name = base.with_name(f"{base.name}-{number}")
        number += 1
    return name
