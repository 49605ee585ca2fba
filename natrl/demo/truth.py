"""Where every architecture has been trained: a policy that learned from few of these trainings, and what it gains.

NAS-Bench-201 (arXiv 2001.00326): 15,625 architectures, each trained on CIFAR-10 with several seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import Progress

from natrl.bench.trained import Judge, published_tables, TrainedTable
from natrl.core.architecture import Architecture
from natrl.core.genotypes import to_nasbench201
from natrl.demo.settings import TruthSettings
from natrl.evaluation import Evaluator
from natrl.evaluation.ledger.file import read_ledger
from natrl.files.writing import write_atomically
from natrl.policies import load_policy, Policy
from natrl.policies.front import front
from natrl.report.truth import Findings, MethodAnswers
from natrl.runs.directory import ledger_file
from natrl.runs.scores import predicted_scores, score_model
from natrl.search import search
from natrl.search.random_transform import cost_matched_random
from natrl.search.reachable import Reachable
from natrl.spaces import Space
from natrl.tuning.documents import complete
from natrl.tuning.progress import steps, working
from natrl.tuning.run import train

__all__ = ["truth"]

DATA = "cifar10"
RUN, SIGNAL = "run", "signal.csv"  # in the folder of the demo
STARTS = 1000  # architectures that the policy starts from in training
MINIBATCH = 256  # a batch: half of the gradient steps, and nothing lost (seeds 101 and 102)


def truth(settings: TruthSettings, out: Path, *, command: str, progress: Progress | None = None) -> Findings:
    """Learns in `out`, a new folder, and measures; Ray must run. ValueError without the table's package.

    The policy learns from the validation accuracies of the first training of each architecture (`signal.csv`); gains
    are in those of the other trainings, which nothing here has seen before.
    """
    (table,) = published_tables((DATA,))
    held_out, starts = _split(table, settings)
    out.mkdir(parents=True, exist_ok=True)
    signal = _write_signal(table, out / SIGNAL)
    asked = {
        "evaluator": {"reward": f"table:{signal}", "space": table.space.name, "surrogate": settings.evaluations},
        "learn": {"iterations": settings.iterations, "minibatch_size": MINIBATCH},
        "budgets": ["madds"],
        "initial": [to_nasbench201(a) for a in starts],
        "seed": settings.seed,
    }
    run = out / RUN
    train(complete(asked), run, command=command, progress=progress)
    policy, paid = load_policy(run), len(read_ledger(ledger_file(run)))
    found = _answers(policy, predicted_scores(run), held_out, table.evaluator(), settings, paid, progress)
    report = table.reporter()
    before = report.accuracies(held_out)
    answers = tuple(_judged(report, table.space, held_out, before, *answer) for answer in found)
    one = held_out[int(np.argmax([table.space.cost(a).madds for a in held_out]))]
    with working(progress, "trade-off"):
        trade_off = front(policy, one, evaluator=table.evaluator(), model=score_model(run), seed=settings.seed)
    madds = tuple(table.space.cost(a).madds for a in held_out)
    return Findings(held_out, tuple(before.tolist()), madds, answers, trade_off)


def _split(table: TrainedTable, settings: TruthSettings) -> tuple[tuple[Architecture, ...], list[Architecture]]:
    """Live architectures that are held out and have an answer within the budget, and some of the others to start from.

    No start computes the same function as one that is held out.
    """
    rng, (training, held) = np.random.default_rng(settings.seed), table.initial(settings.seed)
    chosen: list[Architecture] = []
    for i in rng.permutation(len(held)).tolist():
        limit = settings.budget * table.space.cost(held[i]).madds
        if held[i].is_live and any(table.space.cost(a).madds <= limit for a in Reachable(table.space, held[i]).every()):
            chosen.append(held[i])
            if len(chosen) == settings.held_out:
                break
    return tuple(chosen), [training[i] for i in rng.permutation(len(training))[:STARTS].tolist()]


def _write_signal(table: TrainedTable, file: Path) -> Path:
    architectures = list(table.space.architectures())
    scores = table.evaluator().evaluate(architectures).tolist()
    rows = [f"{to_nasbench201(a)},{score!r}\n" for a, score in zip(architectures, scores, strict=True)]
    write_atomically(file, "arch,accuracy\n" + "".join(rows))
    return file


Found = tuple[str, float, int, Sequence[Architecture]]


def _answers(
    policy: Policy,
    chooser: Evaluator | None,
    held_out: Sequence[Architecture],
    signal: Evaluator,
    settings: TruthSettings,
    paid: int,
    progress: Progress | None,
) -> list[Found]:
    """Method, budget, evaluations and answers, of the policy's as `natrl transform` chooses; nothing else is read."""
    space, scores = policy.space, _scores(policy.space, signal)
    found: list[Found] = []

    def best(a: Architecture, limit: float) -> Architecture:
        within = (b for b in Reachable(space, a).every() if space.cost(b).madds <= limit)
        return max(within, key=scores.__getitem__)

    for budget in dict.fromkeys((1.0, settings.budget)):
        limits = {a: budget * space.cost(a).madds for a in held_out}
        mine: list[Architecture] = []
        same: list[Architecture] = []
        most: list[Architecture] = []
        for a, limit in steps(progress, f"within {budget:.0%}", limits.items(), len(limits)):
            mine.append(policy.transform(a, max_madds=limit, evaluator=chooser).best)
            same.append(cost_matched_random(space, a, space.cost(mine[-1]).madds, settings.seed))
            most.append(best(a, limit))
        found += [("natrl", budget, paid, mine), ("random", budget, 0, same)]
        if budget == 1:
            each = max(1, paid // len(held_out))
            searches = [
                search("local-search", space, a, signal, budget=each, seed=settings.seed)
                for a in steps(progress, "local search", held_out, len(held_out))
            ]
            found.append(("local-search", 1.0, sum(s.queries for s in searches), [s.best for s in searches]))
        found.append(("best", budget, len(scores), most))
    return found


def _scores(space: Space, signal: Evaluator) -> dict[Architecture, float]:
    architectures = list(space.architectures())
    return dict(zip(architectures, signal.evaluate(architectures).tolist(), strict=True))


def _judged(
    report: Judge,
    space: Space,
    held_out: Sequence[Architecture],
    before: np.ndarray,
    method: str,
    budget: float,
    evaluations: int,
    after: Sequence[Architecture],
) -> MethodAnswers:
    gains = report.accuracies(after) - before
    shares = [space.cost(a).madds / space.cost(b).madds for a, b in zip(after, held_out, strict=True)]
    return MethodAnswers(method, budget, evaluations, tuple(after), tuple(gains.tolist()), tuple(shares))
