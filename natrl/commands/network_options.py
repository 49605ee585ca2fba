"""What commands are told of a trained network: options that natrl transform and natrl optimize share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer

from natrl.commands.settings_options import Options
from natrl.core.genotypes import is_file
from natrl.tuning.optimize.settings import OptimizeSettings

__all__ = ["Asked", "Learned", "is_reference"]


PANEL = "Networks: torchvision:NAME, timm:NAME, module:function"
_option = partial(typer.Option, rich_help_panel=PANEL)

LEARNED = """method learn_from effects moves width_multiple learn.iterations
fine_tuning.epochs fine_tuning.learning_rate distill tune_original class_weights
runtime device times evaluator.surrogate evaluator.actors evaluator.num_gpus evaluator.timeout"""
#: What is given of the settings of `natrl.optimize`.
Learned = Annotated[dict[str, Any], Options(OptimizeSettings, LEARNED, PANEL)]


@dataclass(frozen=True)
class Asked:
    """What a command says of a network and asks for, besides settings; None: not said."""

    data: Annotated[str | None, _option(help="Data set: what the network was trained on.")] = None
    score: Annotated[
        str | None,
        _option(
            help="In place of --data: a function of a network that returns a number, the higher the better; or "
            "distance, of its outputs from the original's. Beside --data: balanced_accuracy, macro_f1, multilabel_ap, "
            "multilabel_f1, r2, mean_iou, or module:object.",
            metavar="module:function|NAME",
            show_default="accuracy",
        ),
    ] = None
    tune: Annotated[
        str | None,
        _option(help="With --score: a function that trains the network in place.", metavar="module:function"),
    ] = None
    key: Annotated[
        str | None,
        _option(
            help="With --score and --tune: a name for what they do, by which scores are found again.",
            metavar="TEXT",
            show_default="digests of their code and what it reads",
        ),
    ] = None
    example: Annotated[
        str | None,
        _option(
            help="With --score: a batch of inputs, a tuple of them, or a function that returns it.",
            metavar="module:object",
        ),
    ] = None
    weights: Annotated[
        str | None,
        _option(
            help="State_dict, .safetensors or by torch.save; DEFAULT: the published weights, and how they prepare "
            "images.",
            metavar="FILE",
        ),
    ] = None
    mean: Annotated[
        str | None,
        _option(
            help="What images in [0, 1] were shifted by in training: a number, one a channel, or none.",
            metavar="X,…",
            show_default="of the training split",
        ),
    ] = None
    std: Annotated[str | None, _option(help="What they were divided by then.", metavar="X,…")] = None
    transform: Annotated[
        str | None,
        _option(
            help="A function that makes an image an input: in place of resizing, --mean and --std.",
            metavar="module:object",
        ),
    ] = None
    expect_accuracy: Annotated[
        str | None,
        _option(
            help="What the network has at least on the validation split, such as 83%, or a number of --score's; less "
            "stops.",
            metavar="X",
            show_default="clearly more than guessing",
        ),
    ] = None
    max_latency: Annotated[
        str | None, _option(help="Budget: seconds for one image on this machine, or a share.", metavar="X")
    ] = None
    max_batch_latency: Annotated[
        str | None, _option(help="Budget: seconds for 32 images on this machine, or a share.", metavar="X")
    ] = None
    address: Annotated[str | None, _option(help="Ray cluster: auto or host:port.")] = None
    resume: Annotated[
        bool,
        _option(
            "--resume", help="Go on with what the same command left in --out when it was ended; pays for nothing twice."
        ),
    ] = False


_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.\-]*")


def is_reference(text: str) -> bool:
    """Whether this names a network ("torchvision:NAME", "timm:NAME", "module:function"), not "genotypes.py:NAME"."""
    return _REFERENCE.fullmatch(text) is not None and ".py:" not in text and not is_file(text)
