"""natrl demo"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from natrl.commands.options import Address, check_new, invocation, Json, refuse, Verbose
from natrl.commands.settings_options import flag, Options
from natrl.demo.settings import ACTS, CellsSettings, settings_of
from natrl.news import say
from natrl.tuning.session import ray_session

__all__ = ["demo"]

OF_CELLS = "data image_size seeds"


def demo(
    act: Annotated[
        str | None,
        typer.Argument(
            help="truth: a policy among architectures that were all trained; network: a trained network, at half its "
            "cost; cells: the papers' setting. All of them by default.",
            metavar="[ACT]",
        ),
    ] = None,
    *,
    given: Annotated[dict[str, Any], Options(CellsSettings, OF_CELLS + " actors gpus_per_actor seed")],
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the training: shows the path, not the result.")
    ] = False,
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
        refuse({flag(name): given.get(name) for name in OF_CELLS.split()}, f"{act} has no use for it")
    check_new(out)
    folder = out or _free_name(Path("demo"))
    settings = settings_of(given, quick=quick)
    cells = settings["cells"]
    if "cells" in acts:  # what cannot be read is said before anything starts
        from natrl.data import load_data

        load_data(cells.data, seed=cells.seed, image_size=cells.image_size)
    say("Ray starts, which takes some seconds")
    with ray_session(address, verbose=verbose):
        console, documents = Console(), {}
        for name in acts:
            if not as_json:
                console.rule(f"[bold]{name}[/]: {_what(name)}")
            from natrl.demo.acts import PLAYED  # after the news, since it loads much

            shown = PLAYED[name](settings[name], folder / name, invocation())
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
        return tuple(ACTS)
    if act not in ACTS:
        raise ValueError(f"unknown act {act!r}; known: {', '.join(ACTS)}")
    return (act,)


def _what(act: str) -> str:
    """One line that says what is played."""
    text = ACTS[act].__doc__ or ""
    return f"{text[0].lower()}{text[1:].rstrip('.')}"


def _free_name(base: Path) -> Path:
    """base, base-2, base-3 …: the first that does not exist."""
    number = 2
    name = base
    while name.exists():
        name = base.with_name(f"{base.name}-{number}")
        number += 1
    return name
