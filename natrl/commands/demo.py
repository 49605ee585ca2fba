"""natrl demo"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from natrl.commands.options import Actors, Address, check_new, Data, Gpus, invocation, Json, Seed, Verbose
from natrl.tuning.session import ray_session

__all__ = ["demo"]


def demo(
    data: Data = "digits",
    image_size: Annotated[
        int | None, typer.Option(help="Scale images to this many pixels (8 keeps the demo quick).", metavar="PX")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each architecture at the end.", metavar="N")] = 3,
    actors: Actors = 2,
    gpus_per_actor: Gpus = 0.0,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the training: shows the path, not the result.")
    ] = False,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run directory; the default is demo, demo-2, …", metavar="DIR")
    ] = None,
    address: Address = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """The whole path on real images: train a policy, transform known architectures, retrain before and after, report.

    Example: natrl demo --out demo
    """
    if seeds < 2:
        raise ValueError(f"--seeds must be at least 2 to tell a difference from noise, got {seeds}")
    if actors < 1:
        raise ValueError(f"--actors must be at least 1, got {actors}")
    check_new(out)
    run = out or _free_name(Path("demo"))
    with ray_session(address, verbose=verbose):
        from natrl.tuning.demo import demonstrate, DemoSettings

        settings = DemoSettings(
            data=data,
            image_size=image_size,
            seeds=seeds,
            actors=actors,
            gpus_per_actor=gpus_per_actor,
            share=0.1 if quick else 1.0,
            seed=seed,
        )
        results = demonstrate(settings, run, command=invocation())
    from natrl.report.html import write_report
    from natrl.report.results import write_results

    write_results(results, run / "results.json")
    pictures = _draw(results, run)
    page = write_report(run)
    if as_json:
        import json

        print(json.dumps(results.to_dict()))
        return
    from natrl.report.tables import comparison

    console = Console()
    console.print(comparison(results))
    console.print(f"report: {page}\npictures: {', '.join(map(str, pictures))}", highlight=False, soft_wrap=True)


def _free_name(base: Path) -> Path:
    """base, base-2, base-3 …: the first that does not exist."""
    number = 2
    name = base
    while name.exists():
        name = base.with_name(f"{base.name}-{number}")
        number += 1
    return name


def _draw(results, run: Path) -> list[Path]:  # type: ignore[no-untyped-def]  # its type would load pandas
    """PNGs of the architecture that changed most: alone before, and after with the changes marked."""
    from natrl.drawing.architectures import draw

    pairs = [(results.row(name, "original"), results.row(name, "transformed")) for name in results.names]
    before, after = max(pairs, key=lambda pair: len(pair[0].architecture.changes(pair[1].architecture)))
    paths = [run / "before.png", run / "after.png"]
    draw(before.architecture, paths[0], networks=results.skeleton, title=before.name)
    draw(
        after.architecture,
        paths[1],
        before=before.architecture,
        networks=results.skeleton,
        title=f"{before.name}, transformed",
    )
    return paths
