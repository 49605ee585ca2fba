"""natrl transform"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from natrl.commands.architectures import transform_architecture
from natrl.commands.network_options import Asked, is_reference, Learned
from natrl.commands.optimize import optimize
from natrl.commands.options import ImageSize, Json, MaxMadds, MaxParams, Onnx, refuse, Seed
from natrl.commands.settings_options import flag, leaves, Options
from natrl.commands.show import ArchitectureArgument
from natrl.spaces import Skeleton

__all__ = ["transform"]


PANEL = "Architectures"


def transform(
    architecture: ArchitectureArgument,
    *,
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
            help="Who chooses among the candidates by validation score: none (the policy alone), model (of the scores "
            "that the run has paid for), run (its evaluator with its trained weights), table:NAME, table:FILE or "
            "module:object.",
            metavar="KIND",
            show_default="model, where it predicts well",
            rich_help_panel=PANEL,
        ),
    ] = None,
    shape: Annotated[dict[str, Any], Options(Skeleton, "channels? cells? num_classes?", PANEL)],
    picture: Annotated[
        Path | None, typer.Option(help="Draw to this .png, .svg or .pdf file.", metavar="FILE", rich_help_panel=PANEL)
    ] = None,
    asked: Asked,
    given: Learned,
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
    if is_reference(architecture):
        of_architectures = {"evaluator": evaluator, "picture": picture, **shape}
        refuse({flag(name): value for name, value in of_architectures.items()}, f"{architecture} is a network")
        optimize(
            architecture,
            asked=asked,
            given=given,
            chosen={"seed": seed} | ({} if n is None else {"candidates": n}),
            max_madds=max_madds,
            max_params=max_params,
            image_size=image_size,
            policy=policy,
            out=out,
            onnx=onnx,
            as_json=as_json,
        )
        return
    of_networks = {name: value or None for name, value in asdict(asked).items()} | dict(leaves(given))
    refuse(
        {flag(name): value for name, value in of_networks.items()},
        "networks are torchvision:NAME, timm:NAME or module:function",
    )
    transform_architecture(
        architecture,
        policy=policy,
        n=n,
        evaluator=evaluator,
        max_madds=max_madds,
        max_params=max_params,
        seed=seed,
        shape=shape | ({} if image_size is None else {"image_size": image_size}),
        picture=picture,
        out=out,
        onnx=onnx,
        as_json=as_json,
    )
