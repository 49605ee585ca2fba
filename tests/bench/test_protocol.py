"""The benchmark: splits, budgets, figures, and every method on a made-up table."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import natrl
from natrl.bench import (
    Bench,
    BenchMethod,
    fold_of,
    FOLDS,
    METHODS,
    Outcome,
    Plan,
    Problem,
    Snapshot,
    split,
)
from natrl.bench import learned as learning
from natrl.bench.capture import best_reachable
from natrl.bench.methods import best_candidates
from natrl.bench.rows import cost_ratios
from natrl.core.isomorphism import function_key, held_out
from natrl.evaluation import TableEvaluator
from natrl.evaluation.queries import LimitedEvaluator
from natrl.registry import Entry
from natrl.report.bench import bench_summary
from natrl.report.bench_plot import bench_figure, mean_curve
from tests.bench.problems import made_up, SPACE, thin

QUERIES = 2000  # some 8 for each held-out architecture
QUICK = ("identity", "random", "random-search", "local-search", "evolution", "ceiling")
ALL = list(SPACE.architectures())


def archs(text):
    return natrl.core.genotypes.nasbench201_architecture(text)


# Splits


def test_folds_cover_the_space_and_never_part_what_computes_the_same():
    parts = [split(SPACE, seed) for seed in range(FOLDS)]
    keys = [{function_key(a) for a in part.held_out if a.is_live} for part in parts]
    assert len(set().union(*keys)) == sum(map(len, keys))
    assert Counter(a for part in parts for a in part.held_out) == Counter(ALL)
    for part in parts:
        assert len(part.training) + len(part.held_out) == len(ALL)
        assert not set(part.training) & set(part.held_out)
        assert 0.1 < len(part.held_out) / len(ALL) < 0.3
        assert any(not a.is_live for a in part.held_out)
    assert split(SPACE, FOLDS + 2) == parts[2]


def test_the_first_fold_is_the_held_out_share_of_live_architectures():
    rng = np.random.default_rng(0)
    for _ in range(100):
        architecture = SPACE.sample(rng)
        assert (fold_of(architecture) == 0) == held_out(architecture, 1 / FOLDS)


def test_dead_architectures_are_told_apart_by_what_they_could_become():
    dead = [a for a in ALL if not a.is_live]
    assert len({fold_of(a) for a in dead}) == FOLDS
    assert archs("300000") in dead
    assert fold_of(archs("300000")) == fold_of(archs("310000"))


# Figures


@pytest.fixture(autouse=True, scope="module")
def few_held_out():
    """Benches hold out a tenth of the fifth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("natrl.bench.trained.split", thin)
        yield


def test_figures_of_a_method_are_those_computed_by_hand(monkeypatch):
    table = made_up()
    before = [thin(SPACE, seed).held_out[100] for seed in range(FOLDS)]
    after = [a.with_operations(["skip_connect", *a.operations[1:]]) for a in before]
    after_of = dict(zip(before, after, strict=True))
    monkeypatch.setitem(
        METHODS._entries,
        "some",
        Entry(
            "some", BenchMethod("some", lambda problem: Outcome(tuple(after_of.get(a, a) for a in problem.held_out)))
        ),
    )
    plan = Plan((table,), ("some",), 10, seeds=FOLDS)
    bench = Bench(plan)
    report = table._report
    best = best_reachable(SPACE, report)
    for seed, job in enumerate(plan.jobs()):
        ((row,), _) = bench.run(job)
        held = thin(SPACE, seed).held_out
        losses = [report[a] - report[after_of.get(a, a)] for a in held]
        assert row.capture_argmax == pytest.approx(-sum(losses) / sum(best[a] - report[a] for a in held))
        assert row.capture_best == row.capture_argmax
        assert row.worse_share == row.worse_share_best == np.mean([loss > 0.002 for loss in losses])
        madds = [SPACE.cost(after_of.get(a, a)).madds / SPACE.cost(a).madds for a in held]
        assert row.madds_ratio == pytest.approx(np.mean(madds))
        assert (row.queries, row.queries_best, row.held_out, row.seed) == (0, 0, len(held), seed)


def test_nothing_that_costs_more_passes():
    with pytest.raises(RuntimeError, match=r"the promise is broken: what became of cell.* costs more"):
        cost_ratios(SPACE, [archs("333333"), archs("111111")], [archs("333333"), archs("111112")])


def test_the_best_candidate_is_chosen_by_the_signal_and_equals_keep_the_first():
    outcome = Outcome(answer=(ALL[1], ALL[4]), candidates=((ALL[0], ALL[1], ALL[2]), (ALL[3], ALL[4])), history=())
    scores = {ALL[0]: 0.5, ALL[1]: 0.4, ALL[2]: 0.5, ALL[3]: 0.1, ALL[4]: 0.2}
    assert best_candidates(outcome, TableEvaluator(scores)) == (ALL[0], ALL[4])
    assert best_candidates(replace(outcome, candidates=()), TableEvaluator(scores)) == outcome.answer


# Plans


def test_jobs_learn_before_others_match_them():
    plan = Plan((made_up(),), ("random-matched", "random", "ppo-joint"), 15_625, rules=("nat", "nat++"), seeds=2)
    jobs = plan.jobs()
    assert [job.method for job in jobs[:3]] == ["random", "ppo-joint", "random-matched"]
    assert len(jobs) == len(set(jobs)) == 12
    assert str(jobs[3]) == "random, nat, tiny, seed 1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ("hill",)}, "unknown benchmark method 'hill'; known: identity, random"),
        ({"methods": ()}, "methods must be different ones, at least one; got none"),
        ({"methods": ("random", "random")}, "methods must be different ones, at least one; got random, random"),
        ({"tables": ()}, "tables must be different ones"),
        ({"rules": ("nat+",)}, r"unknown rule 'nat\+'; known: nat, nat\+\+"),
        ({"signals": ("cifar10",)}, "unknown signal 'cifar10'; known: tiny"),
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"queries": 0}, "queries must be at least 1, got 0"),
        ({"queries": 127, "methods": ("ppo-joint",)}, "127 queries are less than one batch of ppo-joint, which eval"),
        ({"methods": ("random", "random-matched")}, "random-matched matches the cost of a learned policy: add one"),
    ],
)
def test_bad_plans_say_what_would_be_right(changes, message):
    with pytest.raises(ValueError, match=message):
        Plan(**{"tables": (made_up(),), "methods": ("random",), "queries": 1000, **changes})


def test_a_method_has_one_name():
    with pytest.raises(ValueError, match="benchmark method 'random' is registered already"):
        METHODS.register("random", METHODS.get("random"))


# Runs


@pytest.fixture(scope="module")
def quick():
    """Rows and points of what needs no training, on two seeds: some seconds, once."""
    plan = Plan((made_up(),), QUICK, QUERIES, seeds=2)
    bench = Bench(plan)
    results = [bench.run(job) for job in plan.jobs()]
    return [row for rows, _ in results for row in rows], [point for _, points in results for point in points]


def by_method(rows, seed=0):
    return {row.method: row for row in rows if row.seed == seed}


def test_methods_rank_as_they_must(quick):
    for seed in (0, 1):
        found = by_method(quick[0], seed)
        assert found["identity"].capture_argmax == 0
        assert found["random"].capture_argmax < 0
        for method in ("random-search", "local-search", "evolution"):
            assert 0.3 < found[method].capture_argmax < found["ceiling"].capture_argmax <= 1
        assert found["ceiling"].capture_argmax > 0.85


def test_searches_stay_within_their_share_of_the_budget(quick):
    for row in quick[0]:
        each = QUERIES // row.held_out
        if row.method in ("random-search", "local-search", "evolution"):
            assert row.held_out < row.queries <= each * row.held_out <= QUERIES
        elif row.method in ("identity", "random"):
            assert row.queries == 0
        assert row.queries_best == row.queries
        assert 0 < row.madds_ratio <= 1
        assert 0 < row.params_ratio <= 1
        assert row.seconds > 0


def test_curves_end_at_the_figures_of_the_rows(quick):
    rows, points = quick
    for row in rows:
        curve = [p for p in points if (p.method, p.seed) == (row.method, row.seed)]
        assert bool(curve) == (row.method in ("random-search", "local-search", "evolution"))
        if curve:
            assert [p.queries for p in curve] == sorted(p.queries for p in curve)
            assert (curve[-1].queries, curve[-1].capture) == (row.queries, row.capture_argmax)
            assert curve[0].capture == 0  # one query each: the original


def test_with_too_few_queries_for_one_each_searches_leave_all_alone():
    plan = Plan((made_up(),), ("random-search", "random"), 100, seeds=1)
    bench = Bench(plan)
    search, random = (bench.run(job)[0][0] for job in plan.jobs())
    assert (search.queries, search.capture_argmax) == (0, 0)
    assert random.capture_argmax < 0


def test_a_method_cannot_read_the_report(monkeypatch):

    other = made_up("other")

    def peek(problem: Problem) -> Outcome:
        other.reporter()
        return Outcome(problem.held_out)

    monkeypatch.setitem(METHODS._entries, "peek", Entry("peek", BenchMethod("peek", peek)))
    plan = Plan((made_up(), other), ("peek",), 10, seeds=1)
    with pytest.raises(PermissionError, match="the report of 'other' is sealed while a method runs"):
        Bench(plan).run(plan.jobs()[0])


def test_transfer_measures_one_answer_on_every_table():
    tables = (made_up(), made_up("other"))
    for transfer, expected in ((False, [("tiny", "tiny")]), (True, [("tiny", "tiny"), ("tiny", "other")])):
        plan = Plan(tables, ("random",), 100, seeds=1, transfer=transfer, signals=("tiny",))
        (job,) = plan.jobs()
        rows, _ = Bench(plan).run(job)
        assert [(row.reward, row.dataset) for row in rows] == expected
    shared = Plan((made_up(signal_name="val"), made_up("other", signal_name="val")), ("random",), 100, seeds=1)
    assert [job.signal for job in shared.jobs()] == ["val"]
    assert [row.dataset for row in Bench(shared).run(shared.jobs()[0])[0]] == ["tiny", "other"]


def test_rows_are_json_and_nan_is_null(quick):
    document = json.loads(json.dumps([row.to_dict() for row in quick[0]], allow_nan=False))
    for field in ("method", "rule", "dataset", "seed", "queries", "capture_argmax", "capture_best", "worse_share"):
        assert all(field in row for row in document)
    assert replace(quick[0][0], capture_best=float("nan")).to_dict()["capture_best"] is None


# Learned methods


@pytest.fixture
def few(monkeypatch):
    """Learned methods in a few iterations."""
    for algorithm in ("ppo", "reinforce"):
        usual = learning.SETTINGS[algorithm]
        monkeypatch.setitem(
            learning.SETTINGS, algorithm, replace(usual, batch_size=64, minibatch_size=64, iterations=3, epochs=1)
        )
    monkeypatch.setattr(learning, "SMALL_ITERATIONS", 3)
    small = replace(learning.FROM_MODEL, batch_size=64, minibatch_size=64, iterations=3, epochs=1)
    monkeypatch.setattr(learning, "FROM_MODEL", small)


LEARNED = [name for name in METHODS.names() if METHODS.get(name).learned]


@pytest.mark.usefixtures("ray_session", "few")
@pytest.mark.parametrize("method", LEARNED)
def test_learned_methods_train_on_some_and_transform_others(method):
    """About 3 s each: an algorithm is built, and 12 times 2,000 architectures are transformed."""
    table = made_up()
    evaluator = LimitedEvaluator(table.evaluator(), 15_625)
    initial = split(SPACE, 0)
    held = initial.held_out[::10]
    problem = Problem(SPACE, "nat", initial.training, held, evaluator, seed=0)
    outcome = METHODS.get(method).run(problem)
    asked = set(evaluator._scores)
    assert 64 < len(asked) == evaluator.evaluations <= 3 * 2 * 64
    assert [s.queries for s in outcome.history] == sorted(s.queries for s in outcome.history)
    assert outcome.history[-1] == Snapshot(evaluator.evaluations, outcome.answer)
    masks = SPACE.batch_masks(held, "nat")
    column = {name: k for k, name in enumerate(SPACE.primitives)}
    for before, answer, found, mask in zip(held, outcome.answer, outcome.candidates, masks, strict=True):
        assert found[0] == before
        assert answer in found
        assert len({a.key for a in found}) == len(found) <= 1 + learning.CANDIDATES
        for a in found:
            assert mask[np.arange(6), [column[op] for op in a.operations]].all()
            assert a.is_live or not before.is_live
    assert max(len(found) for found in outcome.candidates) == 1 + learning.CANDIDATES


@pytest.mark.usefixtures("ray_session", "few")
def test_a_seed_repeats_a_learned_method():
    """About 3 s: trained twice."""

    def outcome() -> Outcome:
        evaluator = LimitedEvaluator(made_up().evaluator(), 15_625)
        initial = thin(SPACE, 0)
        return METHODS.get("ppo-autoregressive").run(
            Problem(SPACE, "nat++", initial.training, initial.held_out, evaluator, seed=0)
        )

    assert outcome() == outcome()


@pytest.mark.usefixtures("ray_session", "few")
def test_training_stops_before_the_budget_is_exceeded_and_starts_from_a_pool():
    """About 3 s."""
    table = made_up()
    evaluator = LimitedEvaluator(table.evaluator(), 200)
    initial = split(SPACE, 1)
    problem = Problem(SPACE, "nat++", initial.training, initial.held_out[:50], evaluator, seed=1)
    starts = learning.starts(problem)
    assert len(starts) == 200 // learning.SHARE
    assert set(starts) <= set(initial.training)
    outcome = METHODS.get("ppo-joint").run(problem)
    assert 64 <= evaluator.evaluations <= 200
    assert evaluator.remaining < 64
    assert len(outcome.history) <= 1 + learning.SMALL_ITERATIONS


@pytest.mark.usefixtures("ray_session", "few")
def test_random_matched_costs_what_the_last_learned_policy_does():
    """About 3 s."""
    plan = Plan((made_up(),), ("random-matched", "reinforce-joint"), 1000, seeds=1)
    bench = Bench(plan)
    ours, matched = (bench.run(job)[0][0] for job in plan.jobs())
    assert (ours.method, matched.method) == ("reinforce-joint", "random-matched")
    assert ours.madds_ratio == pytest.approx(matched.madds_ratio, abs=0.02)
    assert ours.queries <= 1000 < ours.queries_best
    assert ours.capture_best > 0
    assert matched.queries == 0


def test_random_matched_differs_from_the_original_whatever_comes_before_it():
    """A learned policy that saves nothing is compared with others of that cost, not with the originals."""
    held = tuple(a for a in thin(SPACE, 0).held_out if a.is_live)[:20]

    def answer(held):  # type: ignore[no-untyped-def]
        evaluator = LimitedEvaluator(TableEvaluator(dict.fromkeys(held, 0.5)), 1)
        return METHODS.get("random-matched").run(Problem(SPACE, "nat++", (), held, evaluator, 0, held)).answer

    assert all(function_key(after) != function_key(before) for before, after in zip(held, answer(held), strict=True))
    assert answer(held[::-1]) == answer(held)[::-1]


def test_settings_follow_the_budget():
    assert learning.settings_for("ppo", 15_625) == learning.SETTINGS["ppo"]
    small = learning.settings_for("reinforce", 1000)
    assert (small.batch_size, small.algorithm) == (64, "reinforce")
    assert 2 * small.batch_size == METHODS.get("reinforce-joint").least_queries


# Pictures and tables


def test_summary_is_mean_and_deviation_over_seeds(quick):
    rows = [row.to_dict() for row in quick[0]]
    summary = bench_summary(rows).set_index("method")
    values = [row["capture_argmax"] for row in rows if row["method"] == "local-search"]
    assert list(summary.index) == list(QUICK)
    assert summary.loc["local-search", "capture_argmax"] == pytest.approx(np.mean(values))
    assert summary.loc["local-search", "capture_argmax_std"] == pytest.approx(np.std(values, ddof=1))
    assert (summary["seeds"] == 2).all()


def test_curves_are_averaged_at_equal_queries():
    points = pd.DataFrame({"seed": [0, 0, 1, 1], "queries": [100, 300, 200, 400], "capture": [0.0, 0.4, 0.5, 0.7]})
    x, mean, deviation = mean_curve(points)
    assert (x[0], x[-1]) == (pytest.approx(200), pytest.approx(400))
    assert mean[0] == pytest.approx((0.2 + 0.5) / 2)
    assert mean[-1] == pytest.approx((0.4 + 0.7) / 2)
    assert deviation[0] == pytest.approx(np.std([0.2, 0.5], ddof=1))
    assert (mean_curve(points[points["seed"] == 0])[2] == 0).all()


def test_the_picture_has_a_chart_a_group_and_a_line_a_method(quick):
    rows, points = ([r.to_dict() for r in quick[0]], [vars(p) for p in quick[1]])
    other = [{**row, "dataset": "other"} for row in rows]
    figure = bench_figure(rows + other, points)
    first, second = figure.axes
    labels = [text.get_text() for text in first.get_legend().get_texts()]
    assert [label.split()[0] for label in labels] == list(QUICK)
    assert len(first.collections) == 3  # bands of the searches
    assert len(second.collections) == 0  # no points there: level lines
    assert "other" in second.get_title()
