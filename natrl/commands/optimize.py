"""natrl optimize"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from natrl.commands.network_options import Asked, is_reference, Learned
from natrl.commands.networks import transform_network
from natrl.commands.options import ImageSize, Json, MaxMadds, MaxParams, Mlflow, Onnx, refuse, Wandb
from natrl.commands.settings_options import Options
from natrl.tuning.optimize.settings import OptimizeSettings

__all__ = ["optimize"]


def optimize(
    network: Annotated[str, typer.Argument(help="torchvision:NAME, timm:NAME or module:function.", metavar="NETWORK")],
    *,
    asked: Asked,
    given: Learned,
    chosen: Annotated[dict[str, Any], Options(OptimizeSettings, "candidates seed")],
    max_madds: MaxMadds = None,
    max_params: MaxParams = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the network, as code and weights, and a report here.", metavar="DIR"),
    ] = None,
    image_size: ImageSize = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="A run directory, or a policy folder: without it, one is trained.", metavar="RUN"),
    ] = None,
    mlflow: Mlflow = None,
    wandb: Wandb = None,
    onnx: Onnx = False,
    as_json: Json = False,
) -> None:
    """Replace operations of a trained network, within a budget: learned on its data, fine-tuned, written as code.

    Example: natrl optimize mymodule:build_model --data cifar10 --max-madds 80% -o out
    """
    if not is_reference(network):
        raise ValueError(f"{network!r:.80} names no network: torchvision:NAME, timm:NAME or module:function")
    for option, needs in (("--onnx", onnx), ("--resume", asked.resume)):
        if needs and out is None:
            raise ValueError(f"{option} needs --out DIR: give that too")
    if policy is not None:
        of_learning = {"--iterations": given.get("learn"), "--learn-from": given.get("learn_from")}
        refuse(of_learning | {"--effects": given.get("effects")}, "--policy is a policy that was trained before")
    if given.get("method") == "additive":
        given_of_policy = {"--policy": policy, "--mlflow": mlflow, "--wandb": wandb, "--iterations": given.get("learn")}
        refuse(given_of_policy, "--method additive learns no policy")
    if policy is not None or asked.resume:
        refuse({"--mlflow": mlflow, "--wandb": wandb}, "it logs the training of a policy, from its beginning")
    transform_network(
        network,
        asked,
        given | chosen,
        max_madds=max_madds,
        max_params=max_params,
        image_size=image_size,
        policy=policy,
        tracking={"mlflow": mlflow, "wandb": wandb},
        out=out,
        onnx=onnx,
        as_json=as_json,
    )
