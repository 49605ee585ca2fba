"""natrl transform"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from natrl.commands.architectures import transform_architecture
from natrl.commands.networks import (
    Actors,
    Epochs,
    ExpectAccuracy,
    GpusPerActor,
    is_reference,
    Iterations,
    MaxBatchLatency,
    MaxLatency,
    Mean,
    NetworkAddress,
    NetworkData,
    Resume,
    Std,
    Transform,
    Weights,
)
from natrl.commands.optimize import optimize
from natrl.commands.options import ImageSize, Json, MaxMadds, MaxParams, Onnx, refuse, Seed
from natrl.commands.show import ArchitectureArgument

__all__ = ["transform"]


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
    max_madds: MaxMadds = None,
    max_params: MaxParams = None,
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
            "evaluator with its trained weights), table:NAME, table:FILE or module:object.",
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
    mean: Mean = None,
    std: Std = None,
    transform: Transform = None,
    expect_accuracy: ExpectAccuracy = None,
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

    A trained network, torchvision:NAME, timm:NAME or module:function, needs its data instead: natrl optimize, of which
    this is another name.
    Example: natrl transform mymodule:build_model --data cifar10 --max-madds 80% -o out
    """
    if onnx and out is None:
        raise ValueError("--onnx writes into --out DIR: give that too")
    if resume and out is None:
        raise ValueError("--resume goes on with what is in --out DIR: give that too")
    of_networks = {
        "--data": data,
        "--weights": weights,
        "--mean": mean,
        "--std": std,
        "--transform": transform,
        "--expect-accuracy": expect_accuracy,
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
        refuse(of_architectures, f"{architecture} is a network")
        optimize(
            architecture,
            data=data,
            max_madds=max_madds,
            max_params=max_params,
            max_latency=max_latency,
            max_batch_latency=max_batch_latency,
            out=out,
            weights=weights,
            image_size=image_size,
            mean=mean,
            std=std,
            transform=transform,
            expect_accuracy=expect_accuracy,
            policy=policy,
            n=n,
            iterations=iterations,
            epochs=epochs,
            actors=actors,
            gpus_per_actor=gpus_per_actor,
            address=address,
            seed=seed,
            resume=resume,
            onnx=onnx,
            as_json=as_json,
        )
        return
    refuse(of_networks, "networks are torchvision:NAME, timm:NAME or module:function")
    transform_architecture(
        architecture,
        policy=policy,
        n=n,
        evaluator=evaluator or "none",
        max_madds=max_madds,
        max_params=max_params,
        seed=seed,
        resize=(channels, cells, image_size, classes),
        picture=picture,
        out=out,
        onnx=onnx,
        as_json=as_json,
    )
