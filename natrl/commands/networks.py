"""natrl transform, for a trained network: what natrl.optimize makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TYPE_CHECKING

from rich.console import Console

from natrl.commands.network_options import Asked
from natrl.commands.options import check_new, refuse
from natrl.commands.settings_options import flag

if TYPE_CHECKING:
    from torch import nn

    from natrl.data import ImageData

__all__ = ["transform_network"]

DISTANCE = "distance"  # the score that has a name


def transform_network(
    reference: str,
    asked: Asked,
    given: dict[str, Any],
    *,
    max_madds: str | None,
    max_params: str | None,
    image_size: int | None,
    policy: Path | None,
    tracking: Mapping[str, str | None],
    out: Path | None,
    onnx: bool,
    as_json: bool,
) -> None:
    """Loads the network and its data, optimizes, and prints layer by layer what became of it.

    `given`: of the settings of natrl.optimize, nested; its own where there are none.
    """
    _check_task(reference, asked, image_size, given)
    if not asked.resume:
        check_new(out)
    from natrl.export.onnx_file import check_onnx, export_onnx
    from natrl.policies.limits import Limits
    from natrl.report.network import write_network_report
    from natrl.tuning.documents import over
    from natrl.tuning.optimize import optimize, OptimizeSettings
    from natrl.tuning.tracking import trackers

    default = OptimizeSettings()
    settings = type(default).from_dict(over(default.to_dict(), given))
    settings = settings.with_rounds()
    kinds = {"madds": max_madds, "params": max_params}
    kinds |= {"latency": asked.max_latency, "batch_latency": asked.max_batch_latency}
    budget = {kind: limit for kind, limit in kinds.items() if limit is not None}
    limits = Limits.of(budget)
    if onnx:
        check_onnx()
    model, task = _network_and_task(reference, asked, image_size, settings.seed)
    parameters = settings.to_dict() | {"budget": budget}
    parameters["evaluator"] |= {"space": reference, "data": asked.data or asked.score, "seed": settings.seed}
    found = optimize(
        model,
        **task,
        budget=limits,
        out=out,
        settings=settings,
        policy=policy,
        resume=asked.resume,
        address=asked.address,
        callbacks=trackers(**tracking, name=out.name if out else reference, parameters=parameters),
    )
    files = ["model.safetensors", "choice.json", "report.json", *(["model.py"] if found.code else [])]
    files += ["splits.json"] if found.splits else []
    if onnx:
        files.append(export_onnx(found.model, found.space.example, found.directory / "model.onnx").name)
    files.append(write_network_report(found.directory).name)
    if as_json:
        print(json.dumps(found.to_dict()))
        return
    console = Console()
    console.print(found.table())
    console.print(found.summary(), highlight=False)
    console.print(f"{out or found.directory}: {', '.join(files)}", highlight=False, soft_wrap=True)


def _check_task(reference: str, asked: Asked, image_size: int | None, given: Mapping[str, Any]) -> None:
    """ValueError unless either data or functions of the user's are given, with what goes with them."""
    of_functions = {"--tune": asked.tune, "--example": asked.example, "--key": asked.key}
    if asked.score is None:
        refuse(of_functions, "it goes with --score")
        if asked.data is None:
            raise ValueError(
                f"--data NAME is needed: {reference} is scored and fine-tuned on what it was trained on; or --score, a "
                "function of your own"
            )
        return
    if asked.data is not None:
        refuse(
            {"--tune": asked.tune, "--example": asked.example},
            "with --data, natrl trains and measures by a score that has a name",
        )
        return
    of_data = {"--mean": asked.mean, "--std": asked.std, "--transform": asked.transform, "--image-size": image_size}
    refuse(of_data, "--score without --data measures networks on data of its own")
    trained = {flag(name): value for name, value in given.get("fine_tuning", {}).items()}
    refuse(trained | {"--distill": given.get("distill")}, "--score without --data trains by --tune alone")
    if asked.example is None:
        raise ValueError(
            "--score needs --example module:object: a batch of inputs as the network takes them; or --data, with a "
            "score that has a name"
        )


def _network_and_task(
    reference: str, asked: Asked, image_size: int | None, seed: int
) -> tuple[nn.Module, dict[str, Any]]:
    """The network, and what natrl.optimize is told of its task."""
    if asked.data is not None:
        from natrl.data.loading import DATA

        DATA.find(asked.data)  # an unknown name is told before weights are downloaded
    preparation = Preparation(image_size, asked.mean, asked.std, asked.transform)
    if asked.score is None:
        model, images = _network_and_data(reference, str(asked.data), asked.weights, preparation, seed)
        return model, {"data": images, "expect_accuracy": asked.expect_accuracy}
    if asked.data is None:
        return _network_and_functions(reference, asked)
    from natrl.evaluation.scores import SCORES
    from natrl.modules.references import load_network

    score, expected = SCORES.get(asked.score), _least_score(asked)
    if score.labels == "classes":
        model, images = _network_and_data(reference, asked.data, asked.weights, preparation, seed)
        return model, {"data": images, "score": score, "expect_accuracy": expected}
    prepared = {"--mean": asked.mean, "--std": asked.std, "--transform": asked.transform, "--image-size": image_size}
    refuse(prepared, f"score {asked.score!r} takes inputs as they come")
    model = load_network(reference, num_classes=None, weights=asked.weights)
    return model, {"data": asked.data, "score": score, "expect_accuracy": expected}


def _network_and_functions(reference: str, asked: Asked) -> tuple[nn.Module, dict[str, Any]]:
    from natrl.modules.references import load_network
    from natrl.registry import find_object, returned_by

    if asked.score != DISTANCE and ":" not in str(asked.score):
        raise ValueError(
            f"score {asked.score!r}: expected module:object, or {DISTANCE}; others with a name need --data"
        )
    named = {"score": asked.score, "tune": asked.tune, "example_input": asked.example}
    task: dict[str, Any] = {"expect_accuracy": _least_score(asked), "key": asked.key}
    task |= {name: text and find_object(text, f"{name} {text!r}") for name, text in named.items() if text != DISTANCE}
    task.setdefault("score", DISTANCE)
    if callable(task["example_input"]):
        task["example_input"] = returned_by(task["example_input"], f"example {asked.example!r}")
    return load_network(reference, num_classes=None, weights=asked.weights), task


def _least_score(asked: Asked) -> float | None:
    """--expect-accuracy as a number of --score's. ValueError if it is none."""
    try:
        return None if asked.expect_accuracy is None else float(asked.expect_accuracy)
    except ValueError:
        raise ValueError(
            f"--expect-accuracy is a number that --score can give, got {asked.expect_accuracy!r}"
        ) from None


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
