"""natrl transform, for a trained network: what natrl.optimize makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TYPE_CHECKING

import typer
from rich.console import Console

from natrl.commands.options import check_new
from natrl.core.genotypes import is_file

if TYPE_CHECKING:
    from torch import nn

    from natrl.data import ImageData
    from natrl.tuning.modules import OptimizeSettings

__all__ = [
    "Actors",
    "Epochs",
    "ExpectAccuracy",
    "GpusPerActor",
    "Iterations",
    "MaxBatchLatency",
    "MaxLatency",
    "Mean",
    "NetworkAddress",
    "NetworkData",
    "Resume",
    "Std",
    "Transform",
    "Weights",
    "is_reference",
    "network_settings",
    "transform_network",
]

PANEL = "Networks: torchvision:NAME, timm:NAME, module:function"
_option = partial(typer.Option, rich_help_panel=PANEL)

NetworkData = Annotated[str | None, _option(help="Data set: what the network was trained on.")]
Weights = Annotated[
    str | None,
    _option(
        help="State_dict, .safetensors or by torch.save; DEFAULT: the published weights, and how they prepare images.",
        metavar="FILE",
    ),
]
Mean = Annotated[
    str | None,
    _option(
        help="What images in [0, 1] were shifted by in training: a number, one a channel, or none.",
        metavar="X,…",
        show_default="of the training split",
    ),
]
Std = Annotated[str | None, _option(help="What they were divided by then.", metavar="X,…")]
Transform = Annotated[
    str | None,
    _option(
        help="A function that makes an image an input: in place of resizing, --mean and --std.", metavar="module:object"
    ),
]
ExpectAccuracy = Annotated[
    str | None,
    _option(
        help="What the network has at least on the validation split, such as 83%; less stops.",
        metavar="X",
        show_default="clearly more than guessing",
    ),
]
MaxLatency = Annotated[
    str | None, _option(help="Budget: seconds for one image on this machine, or a share.", metavar="X")
]
MaxBatchLatency = Annotated[
    str | None, _option(help="Budget: seconds for 32 images on this machine, or a share.", metavar="X")
]
Iterations = Annotated[int | None, _option(help="Policy updates.", metavar="N", show_default="16")]
Epochs = Annotated[int | None, _option(help="Epochs that finalists are fine-tuned.", metavar="N", show_default="3")]
Actors = Annotated[int | None, _option(help="Ray actors that score candidates.", metavar="N", show_default="0")]
GpusPerActor = Annotated[
    float | None,
    _option(help="GPUs of each actor and of each fine-tuning; fractions share one.", metavar="X", show_default="0"),
]
NetworkAddress = Annotated[str | None, _option(help="Ray cluster: auto or host:port.")]
Resume = Annotated[
    bool,
    _option(
        "--resume", help="Go on with what the same command left in --out when it was ended; pays for nothing twice."
    ),
]

_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.\-]*")


def is_reference(text: str) -> bool:
    """Whether this names a network ("torchvision:NAME", "timm:NAME", "module:function"), not "genotypes.py:NAME"."""
    return _REFERENCE.fullmatch(text) is not None and ".py:" not in text and not is_file(text)


def network_settings(
    *,
    candidates: int | None,
    iterations: int | None,
    epochs: int | None,
    actors: int | None,
    num_gpus: float | None,
    seed: int,
) -> OptimizeSettings:
    """The settings of natrl.optimize, its own where an option was not given. ValueError on bad numbers."""
    from natrl.tuning.modules import OptimizeSettings

    default = OptimizeSettings()
    return replace(
        default,
        learn=default.learn if iterations is None else replace(default.learn, iterations=iterations),
        fine_tuning=default.fine_tuning if epochs is None else replace(default.fine_tuning, epochs=epochs),
        candidates=default.candidates if candidates is None else candidates,
        actors=default.actors if actors is None else actors,
        num_gpus=default.num_gpus if num_gpus is None else num_gpus,
        seed=seed,
    )


def transform_network(
    reference: str,
    *,
    data: str | None,
    image_size: int | None,
    weights: str | None,
    mean: str | None,
    std: str | None,
    transform: str | None,
    expect_accuracy: str | None,
    budget: Mapping[str, str],
    policy: Path | None,
    settings: OptimizeSettings,
    address: str | None,
    out: Path | None,
    resume: bool,
    onnx: bool,
    as_json: bool,
) -> None:
    """Loads the network and its data, optimizes, and prints layer by layer what became of it."""
    if data is None:
        raise ValueError(f"--data NAME is needed: {reference} is scored and fine-tuned on what it was trained on")
    if not resume:
        check_new(out)
    from natrl.data import batches
    from natrl.export.onnx_file import check_onnx, export_onnx
    from natrl.policies.limits import Limits
    from natrl.report.network import write_network_report
    from natrl.tuning.modules import optimize

    limits = Limits.of(budget)
    if onnx:
        check_onnx()
    preparation = Preparation(image_size, mean, std, transform)
    model, images = _network_and_data(reference, data, weights, preparation, settings.seed)
    found = optimize(
        model,
        data=images,
        budget=limits,
        expect_accuracy=expect_accuracy,
        out=out,
        settings=settings,
        policy=policy,
        resume=resume,
        address=address,
    )
    files = ["model.safetensors", "choice.json", "report.json", *(["model.py"] if found.code else [])]
    files += ["splits.json"] if found.splits else []
    if onnx:
        example = next(batches(images.validation, 2))[0].contiguous()
        files.append(export_onnx(found.model, example, found.directory / "model.onnx").name)
    files.append(write_network_report(found.directory).name)
    if as_json:
        print(json.dumps(found.to_dict()))
        return
    console = Console()
    console.print(found.table())
    console.print(found.summary(), highlight=False)
    console.print(f"{out or found.directory}: {', '.join(files)}", highlight=False, soft_wrap=True)


class Preparation(NamedTuple):
    """How images become inputs, as `natrl.data.load_data` takes it; None: not said."""

    image_size: int | None
    mean: str | Sequence[float] | None
    std: str | Sequence[float] | None
    transform: Callable[[Any], Any] | str | None


def _network_and_data(
    reference: str, data: str, weights: str | None, said: Preparation, seed: int
) -> tuple[nn.Module, ImageData]:
    """The network, and images as it takes them: published weights say how, unless the user does."""
    from natrl.data import load_data
    from natrl.modules.references import has_published_weights, load_network, load_published

    if not has_published_weights(reference, weights):
        images = load_data(data, seed=seed, **said._asdict())
        return load_network(reference, num_classes=images.num_classes, weights=weights), images
    published = load_published(reference)
    if (said.mean, said.std, said.transform) == (None, None, None):
        own = {"transform": published.transform} if said.image_size is None else published.normalisation
        said = said._replace(**own)
    return published.network, load_data(data, seed=seed, **said._asdict())
