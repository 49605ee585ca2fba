"""Searches: what they may propose, that they find what is to be found, and that a seed repeats them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import natrl
from natrl.search import Reachable, search, SEARCHES
from tests.search.problems import nasbench201, reachable, rugged, Scores, smooth, SPACE

SCORED = ("random-search", "local-search", "evolution")
UNSEEN = ("additive",)  # those whose answer puts together what was evaluated apart
SPACES = {name: natrl.space(name) for name in ("nasbench201", "darts")}


@settings(max_examples=40)
@given(
    method=st.sampled_from(SEARCHES.names()),
    space=st.sampled_from(sorted(SPACES)),
    rule=st.sampled_from(["nat", "nat++"]),
    seed=st.integers(0, 10_000),
    budget=st.integers(0, 40),
)
def test_proposals_keep_the_promise_and_are_never_repeated(method, space, rule, seed, budget):
    original = SPACES[space].sample(np.random.default_rng(seed))
    masks = SPACES[space].masks(original, rule, "strict")
    column = {name: k for k, name in enumerate(SPACES[space].primitives)}
    result = search(method, SPACES[space], original, Scores(rugged), budget=budget, seed=seed, rule=rule)
    assert result.queries == len({a.key for a in result.evaluated}) <= budget
    for architecture in (result.best, *result.evaluated):
        assert architecture.is_live
        assert architecture.cells == original.cells
        assert masks[np.arange(len(masks)), [column[op] for op in architecture.operations]].all()
        assert SPACES[space].cost(architecture) <= SPACES[space].cost(original)
    if result.evaluated:
        assert result.evaluated[0] == original
        assert list(result.scores) == [rugged(a) for a in result.evaluated]
        if method not in UNSEEN:
            assert result.best == result.evaluated[int(np.argmax(result.scores))]
            assert rugged(result.best) >= rugged(original)


@pytest.mark.parametrize("method", SEARCHES.names())
def test_a_seed_repeats_a_search_and_another_one_does_not(method):
    original = nasbench201("333333")
    first, again, other = (search(method, SPACE, original, Scores(rugged), budget=30, seed=s) for s in (1, 1, 2))
    assert first == again
    assert (first != other) == (method != "identity")


def test_each_architecture_has_a_random_stream_of_its_own():
    answers = {
        search("random", SPACE, nasbench201(digits), Scores(rugged), budget=1).best.operations[:3]
        for digits in ("333333", "333332", "333331", "333330", "333334")
    }
    assert len(answers) > 1


@pytest.mark.parametrize("method", ["identity", "random"])
def test_those_that_do_not_choose_ask_nothing(method):
    scores = Scores(rugged)
    for digits in ("333333", "012340", "111111"):
        original = nasbench201(digits)
        result = search(method, SPACE, original, scores, budget=10)
        assert (result.best == original) == (method == "identity")
        assert result.queries == 0
        assert result.best_after(5) == result.best
    assert scores.asked == []


@pytest.mark.parametrize("digits", ["100000", "111111", "010001", "440100", "000000", "300000"])
def test_random_search_ends_with_all_that_is_reachable(digits):
    original = nasbench201(digits)
    result = search("random-search", SPACE, original, Scores(rugged), budget=10_000)
    assert set(result.evaluated) == reachable(original)


def test_where_nothing_else_is_reachable_searches_end_with_the_original():
    lonely = nasbench201("000100")  # one skip from input to output, and the rest has no path: nat keeps a live path
    alone = Reachable(SPACE, lonely, rule="nat", cost="live")
    assert {a.key for a in alone.sample(200, np.random.default_rng(0))} == {lonely.key}
    for method in SEARCHES.names():
        result = search(method, SPACE, lonely, Scores(rugged), budget=50, rule="nat", cost="live")
        assert result.best == lonely
        assert result.queries <= 1


@pytest.mark.parametrize("digits", ["333333", "432104", "333000", "013040"])
def test_local_search_takes_the_best_change_until_none_helps(digits):
    original = nasbench201(digits)
    everything = reachable(original)
    result = search("local-search", SPACE, original, Scores(rugged), budget=10_000)
    present, path = original, [original]
    while True:
        near = [a for a in everything if len(present.changes(a)) == 1]
        best = max(near, key=rugged)
        if rugged(best) <= rugged(present):
            break
        present = best
        path.append(best)
    assert result.best == present
    looked_at = {a for step in path for a in everything if len(step.changes(a)) <= 1}
    assert set(result.evaluated) == looked_at
    assert [rugged(a) for a in path] == sorted(rugged(a) for a in path)


@pytest.mark.parametrize("digits", ["333333", "222222", "342304"])
def test_local_search_finds_the_best_where_slots_do_not_depend_on_each_other(digits):
    original = nasbench201(digits)
    result = search("local-search", SPACE, original, Scores(smooth), budget=10_000)
    assert smooth(result.best) == max(smooth(a) for a in reachable(original))


@pytest.mark.parametrize("digits", ["333333", "222222", "342304"])
@pytest.mark.parametrize("budget", [1, 7, 10_000])
def test_additive_makes_the_best_changes_seen_of_every_slot(digits, budget):
    original = nasbench201(digits)
    result = search("additive", SPACE, original, Scores(rugged), budget=budget)
    best = {}
    for a, score in zip(result.evaluated[1:], result.scores[1:], strict=True):
        (slot,) = original.changes(a)
        if score > best.get(slot, (result.scores[0], ""))[0]:
            best[slot] = score, a.operations[slot]
    wanted = [best[e][1] if e in best else op for e, op in enumerate(original.operations)]
    assert list(result.best.operations) == wanted
    everything = len(Reachable(SPACE, original).neighbours(original))
    assert result.queries == min(budget, 1 + everything)


def test_evolution_beats_random_search_on_a_smooth_score():
    original = nasbench201("323232")

    def found(method):
        results = [search(method, SPACE, original, Scores(smooth), budget=24, seed=seed) for seed in range(20)]
        return np.mean([smooth(result.best) for result in results])

    assert found("evolution") > found("random-search") + 0.01


def test_evolution_changes_one_slot_of_a_good_one_of_the_last_four():
    result = search("evolution", SPACE, nasbench201("333333"), Scores(smooth), budget=40)
    bred = []
    for i, child in enumerate(result.evaluated[4:], start=4):
        young = sorted(result.evaluated[i - 4 : i], key=smooth)
        bred.append(any(len(parent.changes(child)) == 1 for parent in young[2:]))  # three compete: one of the best two
    assert np.mean(bred) > 0.6  # the others took more steps, as a single one led to what was known


def test_neighbours_are_all_that_differ_in_one_slot():
    original, rng = nasbench201("343210"), np.random.default_rng(0)
    everything = reachable(original)
    box = Reachable(SPACE, original)
    for architecture in [original, *box.sample(20, rng)]:
        near = box.neighbours(architecture)
        assert len(near) == len(set(near))
        assert set(near) == {a for a in everything if len(architecture.changes(a)) == 1}


def test_samples_are_uniform_in_every_slot_but_for_the_last_path():
    samples = Reachable(SPACE, nasbench201("333333")).sample(20_000, np.random.default_rng(0))
    assert set(samples) <= reachable(nasbench201("333333"))
    for slot in range(3):  # later ones keep what earlier nulls would cut
        shares = [np.mean([a.operations[slot] == op for a in samples]) for op in SPACE.primitives]
        np.testing.assert_allclose(shares, 0.2, atol=0.012)


def test_the_answer_of_a_smaller_budget_is_the_best_of_the_first_queries():
    for method in SCORED:
        whole = search(method, SPACE, nasbench201("333333"), Scores(rugged), budget=40)
        for budget in (1, 2, 7, 40):
            part = search(method, SPACE, nasbench201("333333"), Scores(rugged), budget=budget)
            assert part.evaluated == whole.evaluated[:budget]
            assert part.best == whole.best_after(budget)
        gains = [rugged(whole.best_after(q)) for q in range(1, 41)]
        assert all(a <= b for a, b in pairwise(gains))


def test_a_dead_architecture_can_be_brought_to_life():
    dead = nasbench201("330000")
    assert not dead.is_live
    result = search("random-search", SPACE, dead, Scores(lambda a: 0.9 * a.is_live), budget=500)
    assert result.best.is_live
    assert SPACE.cost(result.best) <= SPACE.cost(dead)


def test_bad_input_says_what_would_be_right():
    fine = nasbench201("333333")
    with pytest.raises(ValueError, match="unknown search method 'hill'; known: identity, random, random-search"):
        search("hill", SPACE, fine, Scores(rugged), budget=3)
    with pytest.raises(ValueError, match="budget must be at least 0 evaluated architectures, got -1"):
        search("random", SPACE, fine, Scores(rugged), budget=-1)
    with pytest.raises(ValueError, match="space 'nasbench201' has one cell of 6 slots"):
        search("random", SPACE, natrl.parse("VGG"), Scores(rugged), budget=3)
    with pytest.raises(ValueError, match=r"evaluator returned nan as accuracy of architecture cell"):
        search("random-search", SPACE, fine, Scores(lambda a: float("nan")), budget=3)
    with pytest.raises(ValueError, match="search method 'evolution' is registered already"):
        SEARCHES.register("evolution", SEARCHES.get("evolution"))
    for method in ("identity", "random"):
        with pytest.raises(ValueError, match=f"{method} proposes nothing"):
            SEARCHES.get(method)(Reachable(SPACE, fine), np.random.default_rng(0)).feedback(fine, 0.5)
