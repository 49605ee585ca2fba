"""The protocol: which method runs on what, and how its outcome becomes figures (docs/benchmark.md)."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from annotated_doc import Doc

from natrl.bench.methods import best_candidates, METHODS, Outcome, Problem
from natrl.bench.rows import cost_ratios, Point, Row
from natrl.bench.trained import Judge, Truth
from natrl.checks.fields import check_fields, Count, Seeds
from natrl.core.architecture import Architecture
from natrl.core.transitions import check_choice, Rule
from natrl.evaluation import CachedEvaluator, Evaluator
from natrl.evaluation.queries import LimitedEvaluator
from natrl.spaces import Space

__all__ = ["Bench", "Job", "Plan"]

UNLISTED = 1000  # queries in a space that is too large to list


@dataclass(frozen=True)
class Plan:
    """What is compared. ValueError on what cannot be."""

    tables: Annotated[tuple[Truth, ...], Doc("What is known to be true, of one space.")]
    methods: Annotated[tuple[str, ...], Doc("Methods to compare: A,B. All by default.")]
    queries: Annotated[
        Count | None,
        Doc("Different architectures that a method may evaluate; all, or 1,000 where they are too many to list."),
    ] = None
    rules: Annotated[tuple[Rule, ...], Doc("Transitions: nat++, nat, or both: nat,nat++.")] = ("nat++",)
    seeds: Annotated[Seeds, Doc("Runs of each method; each holds out another fifth.")] = 5  # 0 … seeds−1
    transfer: Annotated[bool, Doc("Measure what was learned on one data set on the others too.")] = False
    signals: Annotated[tuple[str, ...], Doc("To learn from; none given: those of all tables.")] = ()

    def __post_init__(self) -> None:
        for name in ("tables", "methods", "rules"):
            values = getattr(self, name)
            labels = [v.data_set if isinstance(v, Truth) else v for v in values]
            if not values or len(set(labels)) < len(labels):
                raise ValueError(f"{name} must be different ones, at least one; got {', '.join(labels) or 'none'}")
        check_fields(self)
        for rule in self.rules:
            check_choice("rule", rule, Rule)
        known = [table.signal_name for table in self.tables]
        for signal in self.signals:
            if signal not in known:
                raise ValueError(f"unknown signal {signal!r}; known: {', '.join(dict.fromkeys(known))}")
        methods = [METHODS.get(name) for name in self.methods]
        for method in methods:
            if self.limit < method.least_queries:
                raise ValueError(
                    f"{self.limit} queries are less than one batch of {method.name}, which evaluates up to "
                    f"{method.least_queries} architectures; raise --queries or leave the method out"
                )
        if any(m.reads_all for m in methods):
            _size(self.tables[0].space)
        if any(m.matches for m in methods) and not any(m.learned for m in methods):
            raise ValueError(
                "random-matched matches the cost of a learned policy: add one, such as ppo-autoregressive, to --methods"
            )

    @cached_property
    def limit(self) -> int:
        """Different architectures that a method may evaluate."""
        space = self.tables[0].space
        return self.queries or (_size(space) if space.is_listed else UNLISTED)

    def jobs(self) -> list[Job]:
        """Every run of a method, learned policies before what must match them."""
        signals = self.signals or tuple(dict.fromkeys(table.signal_name for table in self.tables))
        ordered = sorted(self.methods, key=lambda name: METHODS.get(name).matches)
        return [
            Job(method, rule, signal, seed)
            for signal in signals
            for rule in self.rules
            for seed in range(self.seeds)
            for method in ordered
        ]


@dataclass(frozen=True)
class Job:
    """One run of a method: it learns from one signal, whatever is reported then."""

    method: str
    rule: Rule
    signal: str
    seed: int

    def __str__(self) -> str:
        return f"{self.method}, {self.rule}, {self.signal}, seed {self.seed}"


class Bench:
    """Runs jobs of a plan, in their order."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._references: dict[tuple[Rule, str, int], tuple[Architecture, ...]] = {}
        self._reporters: dict[str, Judge] = {}

    def run(self, job: Job) -> tuple[list[Row], list[Point]]:
        """The figures of one job, a row a data set it is measured on."""
        method, table = METHODS.get(job.method), self._table(job.signal)
        initial, signal = table.initial(job.seed), table.evaluator(job.seed)
        problem = Problem(
            space=table.space,
            rule=job.rule,
            training=initial.training,
            held_out=initial.held_out,
            evaluator=LimitedEvaluator(signal, _size(table.space) if method.reads_all else self.plan.limit),
            seed=job.seed,
            reference=self._references.get((job.rule, job.signal, job.seed), ()),
        )
        start = time.perf_counter()
        with ExitStack() as seals:
            for other in self.plan.tables:
                seals.enter_context(other.sealed())
            outcome = method.run(problem)
        seconds = time.perf_counter() - start
        if method.learned:
            self._references[job.rule, job.signal, job.seed] = outcome.answer
        return self._measure(job, problem, outcome, signal, seconds)

    def _table(self, signal: str) -> Truth:
        return next(table for table in self.plan.tables if table.signal_name == signal)

    def _measure(
        self, job: Job, problem: Problem, outcome: Outcome, signal: Evaluator, seconds: float
    ) -> tuple[list[Row], list[Point]]:
        chooser = CachedEvaluator(signal)
        chooser.load_state_dict(problem.evaluator.state_dict())
        best = best_candidates(outcome, chooser)
        madds, params = cost_ratios(problem.space, problem.held_out, outcome.answer)
        rows, points = [], []
        for table in self.plan.tables:
            if table.signal_name != job.signal and not self.plan.transfer:
                continue
            report = self._reporters.setdefault(table.data_set, table.reporter())
            label: dict[str, Any] = {
                "method": job.method,
                "rule": job.rule,
                "reward": job.signal,
                "dataset": table.data_set,
                "seed": job.seed,
            }
            rows.append(
                Row(
                    **label,
                    held_out=len(problem.held_out),
                    queries=problem.evaluator.evaluations,
                    queries_best=chooser.evaluations,
                    capture_argmax=report.capture(problem.held_out, outcome.answer, rule=job.rule),
                    capture_best=report.capture(problem.held_out, best, rule=job.rule),
                    worse_share=report.worse_share(problem.held_out, outcome.answer),
                    worse_share_best=report.worse_share(problem.held_out, best),
                    madds_ratio=madds,
                    params_ratio=params,
                    seconds=seconds,
                )
            )
            points += [
                Point(**label, queries=s.queries, capture=report.capture(problem.held_out, s.answer, rule=job.rule))
                for s in outcome.history
            ]
        return rows, points


def _size(space: Space) -> int:
    """How many architectures a space has. ValueError if they cannot be listed."""
    if not space.is_listed:
        raise ValueError(f"ceiling reads the whole space, and {space.name!r} is too large to list: leave it out")
    return sum(1 for _ in space.architectures())
