"""natrl.optimize: a trained network in, a cheaper one of the same class out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from rich.progress import Progress
from torch import nn, Tensor

from natrl.checks.arguments import checked
from natrl.core.architecture import Architecture
from natrl.data import batches, ImageData, load_data
from natrl.data.preprocessing import Numbers
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.evaluation.ledger.shared import serve_ledger
from natrl.evaluation.user_code import check_travels
from natrl.export.module_code import module_code
from natrl.files.locks import locked
from natrl.files.paths import absolute, absolute_reference
from natrl.modules.importing import from_module
from natrl.modules.original import check_accuracy, expected_accuracy, measure_original
from natrl.modules.original import check_outputs as _check_outputs
from natrl.modules.space import ModuleSpace
from natrl.news import say
from natrl.policies import load_policy, Policy
from natrl.policies.limits import LATENCIES, Limits
from natrl.runs.directory import begun, ledger_file
from natrl.training.fine_tuning import Tuned
from natrl.training.fitting import measure, Measured
from natrl.training.latency import measure_latency
from natrl.tuning.modules.budgets import check_budget
from natrl.tuning.modules.fine_tunings import fine_tune_all
from natrl.tuning.modules.journal import Journal, request
from natrl.tuning.modules.learning import learn
from natrl.tuning.modules.proposals import Proposal, propose
from natrl.tuning.modules.result import Accuracies, Figures, layer_changes, Optimized
from natrl.tuning.modules.rewards import reward
from natrl.tuning.modules.settings import OptimizeSettings
from natrl.tuning.progress import progress_bar
from natrl.tuning.session import check_resources, ray_session

__all__ = ["optimize"]


@checked
def optimize(
    model: nn.Module,
    *,
    data: str | ImageData,
    budget: Mapping[str, float | str] | Limits,
    mean: Numbers = None,
    std: Numbers = None,
    transform: Callable[[Any], Tensor] | str | None = None,
    expect_accuracy: float | str | None = None,
    example_input: Tensor | None = None,
    out: Path | str | None = None,
    settings: OptimizeSettings | None = None,
    policy: Policy | Path | str | None = None,
    resume: bool = False,
    address: str | None = None,
) -> Optimized:
    """Replaces operations of a trained network such that it keeps to a budget and loses as little accuracy as can be.

    A policy learns with RLlib which layers can do with less: candidates inherit their weights from `model` and are
    scored on validation images (`natrl.evaluation.inherited`). The best few of what it proposes are fine-tuned, on
    Ray, and validation data chooses; test data is read once, for the accuracies in the result. `model` is not changed.

    `data`: a data set by name, or itself, prepared as the model was trained: by name `mean` and `std`, or `transform`,
    say how (`natrl.data.load_data`). The original is measured first; `expect_accuracy`, such as 0.83 or "83%", is what
    it has at least on the validation split, and stops the call where it has not; None: clearly more than guessing.
    `budget`: such as {"madds": "80%"}; kinds are madds, params, latency (seconds for one image on this machine) and
    batch_latency (for 32), values are numbers or shares of the original. `example_input`: a batch as the model takes
    it; None: validation images. `out`: a new directory for what is written; None: a temporary one. `policy`: one that
    was learned before, on this or another network, or its directory: then none is trained. `resume`: go on with what
    the same call left in `out` when it was ended; scores, checkpoints of the policy and fine-tuned networks are there;
    with more iterations in the settings, too. `address`: a Ray cluster, as `ray_session` has it, which also ends this
    process where Ray ends under it.

    ValueError in one line where the model cannot be imported or sent to workers, nothing satisfies the budget, the
    original is worth less than expected, `out` holds something else than what is to be resumed, or the cluster can
    never have the resources; ConnectionError if there is none.
    """
    if resume and out is None:
        raise ValueError("resume goes on with what is in a directory: give it as out")
    settings = settings or OptimizeSettings()
    limits = Limits.of(budget)
    expected = expected_accuracy(expect_accuracy)
    images = _images(data, settings.seed, mean, std, transform)
    example = next(batches(images.validation, 2))[0].contiguous() if example_input is None else example_input
    space = from_module(model, example)
    _check_outputs(model, example, images)
    check_travels(model, f"network {type(model).__name__}")
    check_travels(images, f"data {images.name!r}")
    learned = None if policy is None else _given_policy(policy, space)
    asked = request(space, images, limits, settings, learned)
    if resume:
        journal = Journal.resume(_directory(out), asked)
    else:
        journal = Journal.begin(_directory(out), asked, check_budget(space, limits, example))
    original = measure_original(model, images)
    check_accuracy(original, images, expected)
    hint = f"what was done is in {journal.directory}: call it again with --resume (resume=True)"
    hold = locked if resume else begun
    with hold(journal.directory), ray_session(address, hint=hint):
        check_resources(max(1, settings.actors), settings.num_cpus, settings.num_gpus)  # a fine-tuning needs as much
        say(images.describe(), str(original))
        evaluator = _evaluator(space, images, settings, journal)
        ledger = ledger_file(journal.directory)
        with serve_ledger(ledger), progress_bar() as bar:
            if learned is None:
                build = reward(evaluator, journal.budget, images, settings, ledger)
                learned = learn(space, build, settings, journal.directory, progress=bar)
            finalists, count = propose(space, learned, evaluator, limits, settings, example, ledger)
            teacher = model if settings.distill else None
            tuned = _fine_tune(finalists, images, settings, teacher, journal, bar)
    result = _result(space, images, example, evaluator, finalists, tuned, count, journal.directory)
    result.save()
    return result


def _images(
    data: str | ImageData, seed: int, mean: Numbers, std: Numbers, transform: Callable[[Any], Tensor] | str | None
) -> ImageData:
    if isinstance(data, str):
        return load_data(absolute_reference(data), seed=seed, mean=mean, std=std, transform=transform)
    if (mean, std, transform) != (None, None, None):
        raise ValueError("mean, std and transform are of data by name: ImageData is prepared already")
    return data


def _directory(out: Path | str | None) -> Path:
    return absolute(tempfile.mkdtemp(prefix="natrl-") if out is None else out)


def _evaluator(space: ModuleSpace, data: ImageData, settings: OptimizeSettings, journal: Journal) -> InheritedEvaluator:
    """What scores candidates; how long each is trained before is found out once, and written down."""
    evaluator = InheritedEvaluator(
        space,
        data,
        steps=journal.steps if settings.steps is None else settings.steps,
        reference_images=settings.reference_images,
        validation_images=settings.validation_images,
        seed=settings.seed,
    )
    journal.keep_steps(evaluator.steps)
    return evaluator


def _madds(space: ModuleSpace, finalist: Proposal) -> int:
    return space.cost(finalist.architecture).madds


def _fine_tune(
    finalists: Sequence[Proposal],
    data: ImageData,
    settings: OptimizeSettings,
    teacher: nn.Module | None,
    journal: Journal,
    bar: Progress,
) -> list[Tuned]:
    """Those that were not before; each is written down as soon as it is done."""
    done = {i: tuned for i, f in enumerate(finalists) if (tuned := journal.tuned(f.architecture)) is not None}
    missing = [i for i in range(len(finalists)) if i not in done]
    task = bar.add_task("fine-tuning", total=len(missing), note="")

    def keep(index: int, tuned: Tuned) -> None:
        journal.keep(finalists[missing[index]].architecture, tuned)
        bar.advance(task)

    if missing:
        networks = [finalists[i].network for i in missing]
        found = fine_tune_all(networks, data, settings, teacher=teacher, on_result=keep)
        done |= dict(zip(missing, found, strict=True))
    return [done[i] for i in range(len(finalists))]


def _code(network: nn.Module, example: Tensor) -> tuple[str | None, str | None]:
    """The network as code, or why there can be none."""
    try:
        return module_code(network, example), None
    except ValueError as error:
        return None, str(error)


def _given_policy(policy: Policy | Path | str, space: ModuleSpace) -> Policy:
    """The policy on this space. (Which space a stored one was trained on does not matter: it may be gone.)"""
    return policy.on(space) if isinstance(policy, Policy) else load_policy(policy, space=space)


def _result(
    space: ModuleSpace,
    images: ImageData,
    example: Tensor,
    evaluator: InheritedEvaluator,
    finalists: Sequence[Proposal],
    tuned: Sequence[Tuned],
    count: int,
    directory: Path,
) -> Optimized:
    """The finalist of the highest validation accuracy, of equal ones the cheapest, beside the original."""
    best = max(range(len(tuned)), key=lambda i: (tuned[i].validation.accuracy, -_madds(space, finalists[i])))
    architecture, network = finalists[best].architecture, tuned[best].load_into(finalists[best].network).eval()
    before, after = _figures(space, images, example, architecture, network, tuned[best].validation)
    alike = evaluator.inherit(space.architecture).cpu()  # with new batch-norm statistics, as candidates have them
    code, no_code = _code(network, example)
    return Optimized(
        network,
        architecture,
        space,
        before,
        Accuracies(measure(alike, images.validation).accuracy, measure(alike, images.test).accuracy),
        after,
        layer_changes(space, architecture),
        count,
        directory,
        code=code,
        no_code=no_code,
        images=images.describe(),
        splits=images.indices,
    )


def _figures(
    space: ModuleSpace,
    data: ImageData,
    example: Tensor,
    architecture: Architecture,
    network: nn.Module,
    validation: Measured,
) -> tuple[Figures, Figures]:
    """Of the original and of the result; here test data is read."""
    original = deepcopy(space.model)
    timed = [measure_latency([original, network], example, batch=batch) for batch in LATENCIES.values()]
    return (
        Figures(
            space.cost(space.architecture),
            measure(original, data.validation).accuracy,
            measure(original, data.test).accuracy,
            tuple(before for before, _ in timed),
        ),
        Figures(
            space.cost(architecture),
            validation.accuracy,
            measure(network, data.test).accuracy,
            tuple(after for _, after in timed),
        ),
    )
