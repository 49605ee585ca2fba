"""natrl optimize"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    network_settings,
    NetworkAddress,
    NetworkData,
    Resume,
    Std,
    Transform,
    transform_network,
    Weights,
)
from natrl.commands.options import ImageSize, Json, MaxMadds, MaxParams, Onnx, refuse, Seed

__all__ = ["optimize"]


def optimize(
    network: Annotated[
        str,
        typer.Argument(help="torchvision:NAME, timm:NAME or module:function.", metavar="NETWORK"),
    ],
    data: NetworkData = None,
    max_madds: MaxMadds = None,
    max_params: MaxParams = None,
    max_latency: MaxLatency = None,
    max_batch_latency: MaxBatchLatency = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the network, as code and weights, and a report here.", metavar="DIR"),
    ] = None,
    weights: Weights = None,
    image_size: ImageSize = None,
    mean: Mean = None,
    std: Std = None,
    transform: Transform = None,
    expect_accuracy: ExpectAccuracy = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="A run directory, or a policy folder: without it, one is trained.", metavar="RUN"),
    ] = None,
    n: Annotated[
        int | None, typer.Option("-n", help="Candidates that the policy proposes.", metavar="N", show_default="24")
    ] = None,
    iterations: Iterations = None,
    epochs: Epochs = None,
    actors: Actors = None,
    gpus_per_actor: GpusPerActor = None,
    address: NetworkAddress = None,
    seed: Seed = 0,
    resume: Resume = False,
    onnx: Onnx = False,
    as_json: Json = False,
) -> None:
    """Replace operations of a trained network, within a budget: learned on its data, fine-tuned, written as code.

    Example: natrl optimize mymodule:build_model --data cifar10 --max-madds 80% -o out
    """
    if not is_reference(network):
        raise ValueError(f"{network!r:.80} names no network: torchvision:NAME, timm:NAME or module:function")
    for option, given in (("--onnx", onnx), ("--resume", resume)):
        if given and out is None:
            raise ValueError(f"{option} needs --out DIR: give that too")
    if policy is not None:
        refuse({"--iterations": iterations}, "--policy is a policy that was trained before")
    limits = {"madds": max_madds, "params": max_params, "latency": max_latency, "batch_latency": max_batch_latency}
    transform_network(
        network,
        data=data,
        image_size=image_size,
        weights=weights,
        mean=mean,
        std=std,
        transform=transform,
        expect_accuracy=expect_accuracy,
        budget={kind: limit for kind, limit in limits.items() if limit is not None},
        policy=policy,
        settings=network_settings(
            candidates=n, iterations=iterations, epochs=epochs, actors=actors, num_gpus=gpus_per_actor, seed=seed
        ),
        address=address,
        out=out,
        resume=resume,
        onnx=onnx,
        as_json=as_json,
    )
