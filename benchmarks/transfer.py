"""What a policy of NAS-Bench-201 is worth on tasks of TransNAS-Bench-101, before and after it goes on learning there.

The cells are the same; TransNAS has four of the five operations, three of its modules have stride 2, where a skip on an
edge from node 0 is a factorized reduction: null may not become one there. For each seed PPO learns two policies on
NAS-Bench-201's signal: one in its own space (all of it, as `natrl bench` does), one under the operations and masks of
TransNAS. On held-out live cells, for each task: the capture of their first answers, and of the most that a choice by
NAS-Bench-201's signal can reach, all under strict costs. Then, for each number of evaluations of the task in all, a
policy with a surrogate learns from other cells: from the second policy and what is known of NAS-Bench-201 ("warm"), and
anew; its answer is the one of ten candidates that its model predicts the most of.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core

import numpy as np
import pandas as pd
from _options import number, numbers, Parser, run
from _rows import print_row

import natrl
from natrl.bench.capture import best_reachable, capture
from natrl.bench.learned import CANDIDATES, FROM_MODEL
from natrl.checks.fields import Count, Seed
from natrl.core.architecture import Architecture
from natrl.core.operations import VOCABULARY_INDEX
from natrl.core.transitions import CostMode, Rule
from natrl.evaluation import Evaluator
from natrl.evaluation.surrogate.evaluator import rounds_every, SurrogateEvaluator
from natrl.evaluation.surrogate.model import ScoreModel
from natrl.evaluation.table import TableEvaluator, TableFile
from natrl.policies import Policy
from natrl.policies.network import PolicyConfig
from natrl.rllib.config import algorithm_config
from natrl.rllib.settings import LearnSettings
from natrl.spaces.nasbench201 import CELLS, NasBench201Space
from natrl.spaces.topologies import Topologies
from natrl.tuning.session import ray_session

SOURCE = natrl.space("nasbench201")
OPERATIONS = ("null", "skip_connect", "conv_1x1", "conv_3x3")  # by their digits
KNOWN = 3000  # scores of NAS-Bench-201 that the model learns from


class TransNas(NasBench201Space):
    """The cells of TransNAS-Bench-101 micro."""

    name = "transnas101"
    primitives = OPERATIONS

    def architectures(self):  # type: ignore[no-untyped-def]
        for operations in product(self.primitives, repeat=self.n_slots):
            yield Architecture(CELLS, operations)

    def masks_of(self, ops: np.ndarray, topologies: Topologies, rule: Rule, cost: CostMode) -> np.ndarray:
        masks = super().masks_of(ops, topologies, rule, cost)
        first = np.array([source == 0 for source, _ in CELLS[0].edges])
        masks[:, :, OPERATIONS.index("skip_connect")] &= ~(first & (ops == VOCABULARY_INDEX["null"]))
        return masks


SPACE = TransNas()


def tasks(path: Path) -> dict[str, dict[Architecture, float]]:
    """By name the scores of every cell, scaled to [0, 1]."""
    frame = pd.read_csv(path, dtype={"ops": str})
    cells = [Architecture(CELLS, tuple(OPERATIONS[int(d)] for d in text)) for text in frame["ops"]]
    found = {}
    for column in (c for c in frame if c.endswith("_valid")):
        values = frame[column].to_numpy(dtype=float)
        scaled = (values - values.min()) / np.ptp(values)
        found[column.removesuffix("_valid")] = dict(zip(cells, scaled.tolist(), strict=True))
    return found


def learned(
    settings: LearnSettings,
    space: Any,
    evaluator: Evaluator,
    initial: Sequence[Architecture],
    seed: int,
    start: Any = None,
) -> Policy:
    environment = {"space": space, "build_evaluator": lambda: evaluator, "initial": tuple(initial)}
    environment |= {"rule": "nat++", "cost": "strict"}
    network = PolicyConfig(primitives=space.primitives)
    trainer = algorithm_config(settings, network, environment, seed=seed, start=start).build_algo()
    for _ in range(settings.iterations):
        trainer.train()
    policy: Policy = trainer.policy()
    trainer.stop()
    return policy


def told(
    seed: int,
    task: str,
    held: Sequence[Architecture],
    scores: dict[Architecture, float],
    best: dict[Architecture, float],
    method: str,
    answer: Sequence[Architecture],
    paid: int,
) -> None:
    """One row."""
    gained = capture(held, answer, scores, best)
    row = {"task": task, "method": method, "evaluations": paid, "capture": gained}
    print_row("transfer", seed=seed, held_out=len(held), **row)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("source", type=Path, help="nasbench201.csv.gz")
    parser.add_argument("table", type=Path, help="transnas101_micro.csv.gz")
    parser.add_argument("--signal", default="cifar10_val200")
    parser.add_argument("--seeds", type=numbers(Seed), default=(0, 1, 2, 3, 4))
    parser.add_argument("--held-out", type=number(Count), default=500, help="cells")
    parser.add_argument("--iterations", type=number(Count), default=500, help="on NAS-Bench-201")
    parser.add_argument("--evaluations", type=numbers(Count), default=(100, 300), help="of a task, in all")
    parser.add_argument("--task-iterations", type=number(Count), default=FROM_MODEL.iterations, help="on a task")
    parser.add_argument("--tasks", default="", help="some of them: A,B")
    options = parser.parse_args()
    table = TableFile(options.source)
    signal = dict(zip(table.architectures, table.accuracies(options.signal).tolist(), strict=True))
    every = tasks(options.table)
    on_task = replace(FROM_MODEL, iterations=options.task_iterations)
    chosen = [name for name in options.tasks.split(",") if name] or list(every)
    if unknown := [name for name in chosen if name not in every]:
        parser.error(f"unknown task {unknown[0]!r}; known: {', '.join(every)}")
    with ray_session(), TemporaryDirectory() as folder:
        for seed in options.seeds:
            rng = np.random.default_rng(seed)
            live = [a for a in SPACE.architectures() if a.is_live]
            order = rng.permutation(len(live))
            held, others = ([live[i] for i in part] for part in (order[: options.held_out], order[options.held_out :]))
            settings = LearnSettings(iterations=options.iterations, entropy=0.1)
            signaled = TableEvaluator(signal, "signal")
            own = learned(settings, SOURCE, signaled, list(signal), seed)
            source = learned(settings, SPACE, signaled, others, seed)
            start = Path(folder) / str(seed)
            source.save(start)
            some = [table.architectures[i] for i in rng.permutation(len(table.architectures))[:KNOWN]]
            before = ScoreModel(some, np.array([signal[a] for a in some]), seed=seed)
            by_signal = best_by(signal)
            for name in chosen:
                scores = every[name]
                report = partial(told, seed, name, held, scores, best_reachable(SPACE, scores))
                report("most by the signal", [by_signal[a] for a in held], 0)
                report("of its own space", own.on(SPACE).transform_batch(held), 0)
                report("under these masks", source.transform_batch(held), 0)
                for queries in options.evaluations:
                    for method, known, first in (("warm", before, start), ("anew", None, None)):
                        surrogate = SurrogateEvaluator(
                            TableEvaluator(scores, name),
                            queries=queries,
                            every=rounds_every(on_task.iterations),
                            seed=seed,
                            before=known,
                        )
                        policy = learned(on_task, SPACE, surrogate, others, seed, first)
                        answer = [policy.transform(a, n=CANDIDATES, evaluator=surrogate).best for a in held]
                        report(method, answer, surrogate.paid)


def best_by(signal: dict[Architecture, float]) -> dict[Architecture, Architecture]:
    """For each cell the reachable one that NAS-Bench-201's signal says the most of."""
    cells = list(SPACE.architectures())
    order = np.argsort([signal[a] for a in cells], kind="stable")
    rank = dict(zip([cells[i] for i in order], range(len(order)), strict=True))
    reached = best_reachable(SPACE, {a: float(r) for a, r in rank.items()})
    return {a: cells[order[int(reached[a])]] for a in cells}


if __name__ == "__main__":
    run(main)
