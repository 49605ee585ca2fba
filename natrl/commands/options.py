"""Options that several commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from natrl.commands.settings_options import as_typed, option_of
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.rewards import REWARDS
from natrl.files import writing as files
from natrl.runs.settings import RunSettings
from natrl.spaces import Skeleton

__all__ = [
    "Address",
    "Data",
    "ImageSize",
    "Json",
    "MaxMadds",
    "MaxParams",
    "Mlflow",
    "Onnx",
    "Picture",
    "Seed",
    "Verbose",
    "Wandb",
    "check_file",
    "check_new",
    "check_picture",
    "invocation",
    "refuse",
    "refuse_unheeded",
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Seed = Annotated[int, option_of(RunSettings, "seed")]
Data = Annotated[str, option_of(EvaluatorSpec, "data")]
ImageSize = Annotated[int | None, option_of(Skeleton, "image_size?")]
Onnx = Annotated[bool, typer.Option("--onnx", help="Write model.onnx too (needs onnx and onnxscript).")]
Address = Annotated[
    str | None, typer.Option(help="Ray cluster: auto or host:port. Without it, a Ray of this command's own.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show Ray's own messages.")]
MaxMadds = Annotated[
    str | None, typer.Option(help="Budget: a number, or a share of the original such as 80% or 0.8.", metavar="X")
]
MaxParams = MaxMadds
Picture = Annotated[Path | None, typer.Option(help="Draw to this .png, .svg or .pdf file.", metavar="FILE")]
Mlflow = Annotated[
    str | None, typer.Option(help="Log to MLflow too: a server or a store as sqlite:///FILE.", metavar="URI")
]
Wandb = Annotated[str | None, typer.Option(help="Log to this project of Weights & Biases too.", metavar="PROJECT")]


def check_new(out: Path | None, option: str = "--out") -> None:
    """ValueError if there is something in the directory that a command is to write, or something else in its place."""
    if out is not None:
        files.check_new(out, f"choose another {option}")


def check_file(file: Path | None, option: str, *, new: bool = False) -> None:
    """ValueError if a command could not write the file that it is to write, or (`new`) there is one already."""
    if file is not None:
        files.check_file(file, option, new=new)


def check_picture(picture: Path | None) -> None:
    """ValueError if a picture could not be drawn to this file."""
    if picture is not None:
        from natrl.drawing.architectures import picture_kind

        picture_kind(picture)
        check_file(picture, "--picture")


def refuse(options: Mapping[str, object], why: str) -> None:
    """ValueError if one of these options, by name, was given: it would not be heeded."""
    given = [as_typed(name, value) for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{given[0]} does not go with this: {why}")


#: The setting that an option gives, where it has another name.
_SETTING = {"--seeds": "schedule", "--gpus": "schedule"}


def refuse_unheeded(reward: str, options: Mapping[str, object]) -> None:
    """ValueError if an option was given that the evaluator of this reward does not heed."""
    kind, argument = REWARDS.find(reward)
    for option, value in options.items():
        names_no_file = option == "--column" and kind.free and not Path(argument).suffix
        if names_no_file or _SETTING.get(option, option[2:].replace("-", "_")) not in kind.takes:
            refuse({option: value}, f"the reward {reward} has no use for it")


def invocation() -> str:
    """The command line of this process, quoted so that a shell repeats it."""
    return shlex.join(["natrl", *sys.argv[1:]])
