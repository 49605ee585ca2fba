"""natrl.optimize: a trained network in, a cheaper one of the same class out."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import tune
from torch import nn, Tensor

from natrl.checks.arguments import checked
from natrl.data.preprocessing import Numbers
from natrl.evaluation.inherited import Inheriting
from natrl.evaluation.ledger.shared import serve_ledger
from natrl.evaluation.own_score import Score
from natrl.evaluation.scores.named import NamedScore
from natrl.evaluation.user_code import check_travels
from natrl.export.module_code import module_code
from natrl.files.locks import locked
from natrl.files.paths import absolute
from natrl.files.writing import check_new, write_json
from natrl.modules.space import ModuleSpace
from natrl.news import say
from natrl.policies import load_policy, Policy
from natrl.policies.limits import LATENCIES, Limits
from natrl.runs.directory import begun, CONFIG, create_run, ledger_file, NETWORK, started
from natrl.spaces import SPACES
from natrl.tuning.configuration import check_own, check_policy, run_configuration
from natrl.tuning.finalists import Finalist
from natrl.tuning.optimize.additive import AdditiveProposer, from_effects, JointProposer
from natrl.tuning.optimize.budgets import check_budget, check_runtime, latencies
from natrl.tuning.optimize.given import space_and_task
from natrl.tuning.optimize.halving import Halving
from natrl.tuning.optimize.journal import begun_document, found_before, kept_traceback, request
from natrl.tuning.optimize.proposals import PolicyProposer, propose, Proposer
from natrl.tuning.optimize.result import Accuracies, Figures, layer_changes, Optimized
from natrl.tuning.optimize.settings import OptimizeSettings
from natrl.tuning.optimize.tasks import Task, Tune
from natrl.tuning.optimize.timed import time_limits, TimeLimits
from natrl.tuning.optimize.verdicts import verdicts
from natrl.tuning.progress import progress_bar, working
from natrl.tuning.run import learn
from natrl.tuning.session import check_resources, ray_session

__all__ = ["optimize"]


@checked
def optimize(
    model: nn.Module,
    *,
    budget: Mapping[str, float | str] | Limits,
    data: Any = None,
    score: Score | NamedScore | str | None = None,
    tune: Tune | None = None,
    key: str | None = None,
    mean: Numbers = None,
    std: Numbers = None,
    transform: Callable[[Any], Tensor] | str | None = None,
    expect_accuracy: float | str | None = None,
    example_input: Tensor | tuple[Tensor, ...] | None = None,
    out: Path | str | None = None,
    settings: OptimizeSettings | None = None,
    policy: Policy | Path | str | None = None,
    resume: bool = False,
    address: str | None = None,
    callbacks: Sequence[tune.Callback] = (),
) -> Optimized:
    """Replaces operations of a trained network such that it keeps to a budget and loses as little accuracy as can be.

    Replacements of single layers are scored, those that may matter (`natrl.search.effects`): each makes a network that
    inherits its weights from `model`, and whose outputs on validation images are compared with the original's. From
    these a policy learns with RLlib which layers can do with less; what it proposes is scored, and so are combinations
    whose effects add up to most within the budget (`natrl.search.combinations`), with
    `OptimizeSettings(method="additive")` these alone. About a hundred scores in all; or, with `learn_from="scores"`,
    the policy learns from the scores of what it proposes. The best few are fine-tuned for an epoch each, on Ray, and
    the one that is best on validation data goes on; test data is read once, for the accuracies in the result. `model`
    is not changed.

    `data`: a data set as `natrl.data.load_data` takes it, by name or itself, prepared as the model was trained: `mean`
    and `std`, or `transform`, say how; ImageData and DataLoaders (train, validation, test) are prepared already. The
    original is measured first; `expect_accuracy`, such as 0.83 or "83%", is what it has at least on the validation
    split, and stops the call where it has not; None: clearly more than guessing.
    With `data`, `score` may be the name of one, or a `natrl.evaluation.scores.NamedScore`, in place of the accuracy: it
    brings its loss, and says what labels and outputs are; `expect_accuracy` is then what it is at least.
    For any other task, in place of `data`: `score`(network) → a number, the higher the better, of a network in
    evaluation mode on this worker's device, without gradients, or "distance": how far its outputs are from the
    original's, without labels (`natrl.evaluation.distance`); and `tune`(network), which trains it in place and
    returns None or it (None: finalists are not trained). Both run in Ray's workers. Ledger and `resume` know both by
    their code and all that it reads, or by a `key` that you change with what they do. Then `example_input` is also what
    replacements are fitted on: some dozens of unlabelled inputs, as many as memory allows.
    `budget`: such as {"madds": "80%"}; kinds are madds, params, latency (seconds for one image on this machine) and
    batch_latency (for 32), values are numbers or shares of the original. `example_input`: a batch as the model takes
    it, or a tuple of its inputs; None: validation images. `out`: a new directory for what is written; None: a temporary
    one. `policy`: one that was learned before, on this or another network, or its directory: then none is trained.
    `resume`: go on with what the same call left in `out` when it was ended; scores, checkpoints of the policy and
    fine-tuned networks are there; with more iterations in the settings, too. `address`: a Ray cluster, as `ray_session`
    has it, which also ends this process where Ray ends under it. `callbacks`: Tune's, as `natrl.tuning.run.train` has
    them.

    What a function of the user's raises is said in one line, which names the file that its traceback is in.

    ValueError in one line where the model cannot be imported or sent to workers, nothing satisfies the budget, the
    original is worth less than expected, `out` holds something else than what is to be resumed, or the cluster can
    never have the resources; ConnectionError if there is none.
    """
    if resume and out is None:
        raise ValueError("resume goes on with what is in a directory: give it as out")
    settings = settings or OptimizeSettings()
    limits = Limits.of(budget)
    if settings.method == "additive" and (policy is not None or callbacks):
        what = "policy" if policy is not None else "callbacks"
        raise ValueError(f"{what}: method 'additive' has no policy, whose training could be logged; leave that out")
    if policy is not None:
        settings = replace(settings, learn_from="scores")  # it has learned
    check_policy(settings)
    check_own(settings)
    prepared = {"mean": mean, "std": std, "transform": transform}
    space, task = space_and_task(model, data, prepared, score, tune, example_input, expect_accuracy, settings, key)
    example = space.example
    check_travels(model, f"network {type(model).__name__}")
    check_runtime(space, settings)
    learned = None if policy is None else _given_policy(policy, space)
    asked = request(space, task, limits, settings, learned)
    run = absolute(tempfile.mkdtemp(prefix="natrl-") if out is None else out)
    mask = space.masks(space.architecture, settings.rule, settings.cost)
    if resume:
        document = begun_document(run, asked)
        allowed, steps = found_before(run, document)
    else:
        check_new(run, "choose another directory, or go on with what is there by resume")
        allowed, steps = check_budget(space, limits, example, mask, settings), settings.evaluator.steps
    with kept_traceback(run):
        original = task.original(model)
    hint = f"what was done is in {run}: call it again with --resume (resume=True)"
    hold = locked if resume else begun
    with (
        kept_traceback(run),
        hold(run),
        ray_session(address, hint=hint),
        SPACES.lent(space) as home,
        ExitStack() as lent,
    ):
        spec = replace(settings.evaluator, space=home, seed=settings.seed, steps=steps)
        settings = lent.enter_context(task.lent(replace(settings, evaluator=spec, budget=allowed), space))
        check_resources(max(1, spec.actors), spec.num_cpus, spec.num_gpus)  # a fine-tuning needs as much
        say(task.images, original)
        evaluator = task.chooser(settings)
        settings = replace(settings, evaluator=replace(settings.evaluator, steps=evaluator.steps))
        if resume:
            write_json(run / CONFIG, document | {"settings": settings.run.to_dict(), NETWORK: asked})
        else:
            create_run(run, settings.run, " ".join(sys.argv), **{NETWORK: asked})
        timed = time_limits(space, limits, settings, mask, run)
        with progress_bar() as bar, working(bar, "in all"):
            additive = AdditiveProposer(space, settings, bar, timed) if settings.by_effects else None
            if learned is None and settings.method == "policy":
                with from_effects(additive, settings, evaluator, run) as learning:
                    config = run_configuration(started(learning, run), ledger_file(run))
                    folder = learn(run, learning, config, progress=bar, callbacks=callbacks, hint=f"; {hint}")
                learned = load_policy(folder, space=space)
            proposer = _proposer(learned, additive, settings, timed)
            with serve_ledger(ledger_file(run)) as ledger:
                finalists, count = propose(proposer, evaluator, limits, settings, example, ledger.path)
            best, alike = Halving(space, task, run, bar).best(finalists, settings)
    with progress_bar() as bar, working(bar, "measuring"):
        result = _result(space, task, evaluator, best, alike, count, run, settings, limits)
    result.save()
    return result


def _proposer(
    learned: Policy | None, additive: AdditiveProposer | None, settings: OptimizeSettings, timed: TimeLimits | None
) -> Proposer:
    if learned is None:
        assert additive is not None
        return additive
    return PolicyProposer(learned, settings, timed) if additive is None else JointProposer(learned, additive, settings)


def _code(network: nn.Module, example: tuple[Tensor, ...]) -> tuple[str | None, str | None]:
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
    task: Task,
    evaluator: Inheriting,
    best: Finalist,
    tuned: nn.Module | None,
    count: int,
    directory: Path,
    settings: OptimizeSettings,
    limits: Limits,
) -> Optimized:
    """The finalist that was chosen, beside the original and the same `tuned` alike."""
    assert best.network is not None
    before, after = _figures(space, task, best, settings)
    alike = evaluator.inherit(space.architecture).cpu()  # with new batch-norm statistics, as candidates have them
    code, no_code = _code(best.network, space.example)
    return Optimized(
        best.network,
        best.architecture,
        space,
        before,
        Accuracies(*task.figures(alike)),
        after,
        layer_changes(space, best.architecture),
        count,
        directory,
        code=code,
        no_code=no_code,
        measured=task.measured,
        images=task.images,
        splits=task.splits,
        tuned_original_model=tuned,
        tuned_original=None if tuned is None else Accuracies(*task.figures(tuned)),
        verdicts=verdicts(before, after, limits),
    )


def _figures(space: ModuleSpace, task: Task, best: Finalist, settings: OptimizeSettings) -> tuple[Figures, Figures]:
    """Of the original and of the result; here test data is read."""
    original, network = deepcopy(space.model), best.network
    assert network is not None
    timed = [latencies([original, network], space.example, kind, settings) for kind in LATENCIES]
    (first, tested), (_, now) = task.figures(original), task.figures(network)
    return (
        Figures(space.cost(space.architecture), first, tested, tuple(before for before, _ in timed)),
        Figures(space.cost(best.architecture), best.validation[0], now, tuple(after for _, after in timed)),
    )
