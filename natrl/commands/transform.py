"""natrl transform"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TYPE_CHECKING

import typer
from rich.console import Console

from natrl.commands.networks import (
    Actors,
    Epochs,
    GpusPerActor,
    is_reference,
    Iterations,
    MaxBatchLatency,
    MaxLatency,
    network_settings,
    NetworkAddress,
    NetworkData,
    Resume,
    transform_network,
    Weights,
)
from natrl.commands.options import check_new, ImageSize, Json, Onnx, Seed
from natrl.commands.show import ArchitectureArgument, resized
from natrl.genotypes import parse

if TYPE_CHECKING:
    from natrl.architecture import Architecture
    from natrl.policies import Candidates

__all__ = ["transform"]


CANDIDATES = 10
PANEL = "Architectures"


def transform(
    architecture: ArchitectureArgument,
    policy: Annotated[
        Path | None,
        typer.Option(
            help="A run directory, or a policy folder. Networks need none: one is trained on them.", metavar="RUN"
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "-n",
            help="Sampled candidates, besides the most probable one.",
            metavar="N",
            show_default="10, for networks 24",
        ),
    ] = None,
    max_madds: Annotated[
        str | None, typer.Option(help="Budget: a number, or a share of the original such as 80%.", metavar="X")
    ] = None,
    max_params: Annotated[
        str | None, typer.Option(help="Budget: a number, or a share of the original such as 80%.", metavar="X")
    ] = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Write the result here: model.py, which needs torch alone; of an architecture JSON and the papers' "
            "notations, of a network its weights and a report.",
            metavar="DIR",
        ),
    ] = None,
    onnx: Onnx = False,
    as_json: Json = False,
    evaluator: Annotated[
        str | None,
        typer.Option(
            help="Who chooses among the candidates by validation score: none (the policy alone), run (the run's "
            "evaluator with its trained weights), table:NAME or table:FILE.",
            metavar="KIND",
            show_default="none",
            rich_help_panel=PANEL,
        ),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="Channels of the first cells.", metavar="C", rich_help_panel=PANEL)
    ] = None,
    cells: Annotated[
        int | None, typer.Option(help="Number of stacked cells.", metavar="N", rich_help_panel=PANEL)
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes.", metavar="N", rich_help_panel=PANEL)] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Draw to this .png, .svg or .pdf file.", metavar="FILE", rich_help_panel=PANEL),
    ] = None,
    data: NetworkData = None,
    weights: Weights = None,
    max_latency: MaxLatency = None,
    max_batch_latency: MaxBatchLatency = None,
    iterations: Iterations = None,
    epochs: Epochs = None,
    actors: Actors = None,
    gpus_per_actor: GpusPerActor = None,
    address: NetworkAddress = None,
    resume: Resume = False,
) -> None:
    """Apply a policy: the chosen architecture, each change and its saving.

    Costs are those of the space's usual network, or of one with the channels, cells, images and classes given.
    Example: natrl transform DARTS --policy runs/first --max-madds 80% -o better

    A trained network, torchvision:NAME, timm:NAME or module:function, needs its data instead: what replaces its layers
    is learned on it, and fine-tuned.
    Example: natrl transform mymodule:build_model --data cifar10 --max-madds 80% -o out
    """
    if onnx and out is None:
        raise ValueError("--onnx writes into --out DIR: give that too")
    if resume and out is None:
        raise ValueError("--resume goes on with what is in --out DIR: give that too")
    of_networks = {
        "--data": data,
        "--weights": weights,
        "--max-latency": max_latency,
        "--max-batch-latency": max_batch_latency,
        "--iterations": iterations,
        "--epochs": epochs,
        "--actors": actors,
        "--gpus-per-actor": gpus_per_actor,
        "--address": address,
        "--resume": resume or None,
    }
    of_architectures = {
        "--evaluator": evaluator,
        "--channels": channels,
        "--cells": cells,
        "--classes": classes,
        "--picture": picture,
    }
    if is_reference(architecture):
        _refuse(of_architectures, f"{architecture} is a network")
        budget = {
            "madds": max_madds,
            "params": max_params,
            "latency": max_latency,
            "batch_latency": max_batch_latency,
        }
        transform_network(
            architecture,
            data=data,
            image_size=image_size,
            weights=weights,
            budget={kind: limit for kind, limit in budget.items() if limit is not None},
            policy=policy,
            settings=network_settings(
                candidates=n,
                iterations=iterations,
                epochs=epochs,
                actors=actors,
                num_gpus=gpus_per_actor,
                seed=seed,
            ),
            address=address,
            out=out,
            resume=resume,
            onnx=onnx,
            as_json=as_json,
        )
        return
    _refuse(of_networks, "networks are torchvision:NAME, timm:NAME or module:function")
    if policy is None:
        raise ValueError("--policy RUN is needed: natrl train makes one")
    check_new(out)
    from natrl.export.folder import export_architecture
    from natrl.export.onnx_file import check_onnx
    from natrl.policies import load_policy

    if onnx:
        check_onnx()
    arch = parse(architecture)
    learned = load_policy(policy)
    skeleton = resized(learned.space.skeleton, channels, cells, image_size, classes)
    scorer = _evaluator(evaluator or "none", policy)
    candidates = learned.transform(
        arch,
        n=CANDIDATES if n is None else n,
        evaluator=scorer,
        max_madds=max_madds,
        max_params=max_params,
        seed=seed,
        skeleton=skeleton,
    )
    if picture is not None:
        from natrl.drawing.architectures import draw

        draw(candidates.best, picture, before=arch, skeleton=skeleton)
    files = [] if out is None else export_architecture(candidates.best, skeleton, out, onnx=onnx)
    if as_json:
        print(json.dumps(_document(arch, candidates)))
        return
    _print(arch, candidates)
    if files:
        print(f"{out}: {', '.join(file.name for file in files)}")
        print(f"next: natrl evaluate {out}/architecture.json --export DIR   (trains it and keeps the weights)")


def _refuse(options: Mapping[str, object], why: str) -> None:
    """ValueError if one of these options was given."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{given[0]} does not go with this: {why}")


def _evaluator(kind: str, run: Path) -> Any:
    if kind == "none":
        return None
    if kind.startswith("table:"):
        from natrl.evaluation import load_table

        return load_table(kind.removeprefix("table:"))
    if kind != "run":
        raise ValueError(f"unknown evaluator {kind!r}; known: none, run, table:NAME, table:FILE")
    from natrl.tuning.restore import restored_evaluator

    return restored_evaluator(run)


def _document(before: Architecture, candidates: Candidates) -> dict[str, Any]:
    after = candidates.best
    old, new = candidates.costs[0], candidates.costs[candidates.best_index]
    return {
        "before": before.to_dict(),
        "after": after.to_dict(),
        "key": after.key,
        "params": [old.params, new.params],
        "madds": [old.madds, new.madds],
        "changes": [
            {
                "slot": change.index,
                "before": change.before,
                "after": change.after,
                "saved_params": change.saving.params,
                "saved_madds": change.saving.madds,
            }
            for change in candidates.changes()
        ],
        "candidates": len(candidates),
    }


def _print(before: Architecture, candidates: Candidates) -> None:
    from natrl.report.tables import change_table

    console = Console()
    old, new = candidates.costs[0], candidates.costs[candidates.best_index]
    console.print(change_table(before, candidates.best, candidates.skeleton))
    console.print(
        f"parameters {old.params:,} → {new.params:,} ({new.params / old.params:.0%}), "
        f"MAdds {old.madds:,} → {new.madds:,} ({new.madds / old.madds:.0%}); "
        f"best of {len(candidates)} candidates",
        highlight=False,
    )
    console.print(candidates.best.key, highlight=False, soft_wrap=True)
