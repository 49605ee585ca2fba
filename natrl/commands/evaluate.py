"""natrl evaluate"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, TYPE_CHECKING

import typer
from rich.console import Console

from natrl.bench.question import Question
from natrl.checks.fields import AMOUNT, check_number, SEEDS
from natrl.commands.options import Address, check_file, check_new, invocation, Json, Onnx, Verbose
from natrl.commands.settings_options import option_of, Options
from natrl.commands.show import default_skeleton, QUICK
from natrl.core.genotypes import parse
from natrl.evaluation.factory import EvaluatorSpec
from natrl.tuning.session import ray_session

if TYPE_CHECKING:
    from natrl.report.results import Trained
    from natrl.spaces import Skeleton
    from natrl.training.fitting import TrainingResult

__all__ = ["evaluate"]


def evaluate(
    architectures: Annotated[
        list[str], typer.Argument(help="Zoo names, files, or text in any notation.", metavar="ARCH...")
    ],
    *,
    given: Annotated[dict[str, Any], Options(EvaluatorSpec, "data schedule skeleton.channels? skeleton.cells?")],
    seeds: Annotated[int, option_of(Question, "seeds", show_default=True)] = 3,
    gpus: Annotated[float, option_of(Question, "gpus")] = Question.gpus,
    test: Annotated[bool, typer.Option("--test", help="Read the test split too (do it once, for a report).")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write results.json here.", metavar="FILE")] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Write each architecture with the weights of its first training here: model.py, model.safetensors, "
            "JSON and the papers' notations; a folder each where there are several.",
            metavar="DIR",
        ),
    ] = None,
    onnx: Onnx = False,
    address: Address = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Train architectures from scratch on Ray: accuracy, mean ± standard deviation over seeds.

    Networks have 8 channels and 3 cells by default, or with schedule paper what is published.
    Example: natrl evaluate VGG NATv2_VGG --seeds 5
    """
    check_number("--seeds", seeds, SEEDS)
    check_number("--gpus", gpus, AMOUNT)
    check_new(export, "--export")
    check_file(out, "--out", new=True)
    if onnx:
        _check_onnx(export)
    archs = {name: parse(name) for name in architectures}
    with ray_session(address, verbose=verbose):
        from natrl.data import load_data
        from natrl.report.results import Results, Trained, write_results
        from natrl.report.tables import comparison_table
        from natrl.runs.directory import versions
        from natrl.training.schedule import schedule as find_schedule
        from natrl.tuning.comparison import train_all
        from natrl.tuning.progress import progress_bar

        schedule = given.get("schedule", EvaluatorSpec.schedule)
        images, plan = load_data(given.get("data", EvaluatorSpec.data)), find_schedule(schedule)
        inputs = next(iter(archs.values())).cells[0].inputs
        skeleton = trained_skeleton(schedule, inputs, **given.get("skeleton", {})).fitted(images)
        with progress_bar() as bar:
            task = bar.add_task("training", total=len(archs) * seeds, note="")
            trained = train_all(
                list(archs.values()),
                skeleton,
                images,
                plan,
                seeds=range(seeds),
                read_test=test,
                keep_weights=export is not None,
                num_gpus=gpus,
                on_result=lambda: bar.advance(task),
            )
    rows = tuple(
        Trained.measured(
            name if len(name) < 40 else f"architecture {i + 1}",
            "original",
            arch,
            skeleton,
            validation=tuple(r.validation_accuracy for r in results),
            test=tuple(r.test_accuracy for r in results if r.test_accuracy is not None),
        )
        for i, ((name, arch), results) in enumerate(zip(archs.items(), trained, strict=True))
    )
    results = Results(
        data=images.name,
        skeleton=skeleton,
        seeds=tuple(range(seeds)),
        rows=rows,
        schedule=asdict(plan),
        command=invocation(),
        versions=versions(),
    )
    if out is not None:
        write_results(results, out)
    if export is not None:
        _export(rows, trained, skeleton, export, onnx)
    if as_json:
        import json

        print(json.dumps(results.to_dict()))
        return
    Console().print(comparison_table(results))


def trained_skeleton(schedule: str, inputs: int, **shape: Any) -> Skeleton:
    """The network that cells with so many inputs are trained in: the published one, or one of seconds."""
    usual = default_skeleton(inputs)
    return replace(usual, **({} if schedule == "paper" else QUICK) | shape)


def _check_onnx(export: Path | None) -> None:
    from natrl.export.onnx_file import check_onnx

    if export is None:
        raise ValueError("--onnx writes into --export DIR: give that too")
    check_onnx()


def _export(
    rows: Sequence[Trained], trained: Sequence[Sequence[TrainingResult]], skeleton: Skeleton, out: Path, onnx: bool
) -> None:
    from natrl.export.folder import export_architecture, export_architectures

    networks = {row.name: (row.architecture, first.weights) for row, (first, *_) in zip(rows, trained, strict=True)}
    if len(networks) > 1:
        export_architectures(networks, skeleton, out, onnx=onnx)
    else:
        ((architecture, weights),) = networks.values()
        export_architecture(architecture, skeleton, out, weights=weights, onnx=onnx)
