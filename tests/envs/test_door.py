"""Whatever comes in through the doors of the environments is right, counted as invalid, or refused in one line."""

from __future__ import annotations

from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import natrl
from natrl.core.architecture import Architecture
from natrl.envs import ArchTransitionEnv, ArchTransitionSequentialEnv, ArchTransitionVectorEnv
from natrl.evaluation import CachedEvaluator, Evaluator
from natrl.spaces import Space
from tests.envs.checks import ByName

SPACE = natrl.space("nasbench201")
E, K, N = SPACE.n_slots, len(SPACE.primitives), 3
START = SPACE.sample(np.random.default_rng(1))
ENVIRONMENTS = {
    "joint": (ArchTransitionEnv, (E,), START),
    "sequential": (ArchTransitionSequentialEnv, (), START),
    "vector": (lambda **arguments: ArchTransitionVectorEnv(N, **arguments), (N, E), [START] * N),
}
kinds = pytest.mark.parametrize("kind", ENVIRONMENTS)


def make(kind: str, **arguments):  # type: ignore[no-untyped-def]
    return ENVIRONMENTS[kind][0](**{"evaluator": ByName(), "horizon": 2, **arguments})


def started(kind: str, **arguments):  # type: ignore[no-untyped-def]
    env = make(kind, **arguments)
    env.reset(options={"architecture": ENVIRONMENTS[kind][2]})
    return env


def refusal(call) -> ValueError | None:  # type: ignore[no-untyped-def]
    """The error of one short line that a call ends with, None where it goes through."""
    try:
        call()
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017  # what goes through is fine, too
        assert len(str(error)) < 300  # noqa: PT017
        return error
    return None


WHOLE = st.sampled_from([np.int64, np.int32, np.int8, np.uint8, np.uint64])


@kinds
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_whole_numbers_outside_the_primitives_count_as_invalid_and_never_reach_the_cache(kind, data):
    """As an environment does that holds nothing but what is allowed: every score is the evaluator's own."""
    shape = ENVIRONMENTS[kind][1]
    dtype = data.draw(WHOLE)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    near = st.integers(max(low, -3), K + 2)
    action = data.draw(arrays(dtype, shape, elements=near | st.integers(int(low), int(high))))
    env, strict = started(kind), started(kind, invalid_action="raise")
    *_, info = env.step(action)
    outside = (action.astype(object) < 0) | (action.astype(object) >= K)
    assert np.sum(info["invalid_actions"]) >= np.sum(outside)
    if np.any(outside):
        with pytest.raises(ValueError, match="outside the action mask") as raised:
            strict.step(action)
        assert isinstance(raised.value, gymnasium.error.InvalidAction)
    cache = env.core.evaluator
    for memory in cache._by_code.values():
        for code in np.flatnonzero(~np.isnan(memory)).tolist():
            digits = np.base_repr(code, K).zfill(E)
            architecture = START.with_operations([SPACE.primitives[int(d)] for d in digits])
            assert memory[code] == ByName().evaluate([architecture])[0]


def test_what_a_number_below_zero_did_to_another_architecture():
    env = started("joint")
    env.step(np.full(E, -1))
    null = START.with_operations(["null", *["skip_connect"] * (E - 1)])
    for architecture in (START, null, SPACE.sample(np.random.default_rng(5))):
        _, info = env.reset(options={"architecture": architecture})
        assert info["score"] == ByName().evaluate([architecture])[0]


ANYTHING = (
    st.none()
    | st.text(max_size=8)
    | st.floats()
    | st.booleans()
    | st.integers()
    | st.binary(max_size=4)
    | st.lists(st.integers(0, K) | st.floats() | st.none() | st.lists(st.integers(0, 2), max_size=2), max_size=8)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)
    | arrays(
        st.sampled_from([np.float32, np.float64, np.bool_, np.int64, "U3", "M8[s]", np.complex64]),
        array_shapes(min_dims=0, max_dims=3, max_side=E),
    )
)


@kinds
@given(action=ANYTHING)
@example(action=np.full(E, np.nan))
@example(action=np.full((N, E), 1.0))
@example(action=[[0, 1], [2]])
@example(action=torch.zeros(E))
@example(action=2**70)
@example(action=np.zeros((1, E), dtype=int))
@settings(max_examples=80, deadline=None)
def test_an_action_is_taken_or_refused_in_one_line(kind, action):
    shape = ENVIRONMENTS[kind][1]
    env = started(kind)
    error = refusal(partial(env.step, action))
    if error is None:
        taken = np.asarray(action)
        assert taken.dtype.kind in "iu"
        assert taken.shape == shape
    else:
        assert isinstance(error, gymnasium.error.InvalidAction)
        env.step(np.zeros(shape, dtype=int))  # nothing happened


@kinds
def test_lists_and_tensors_of_whole_numbers_are_actions(kind):
    action = np.zeros(ENVIRONMENTS[kind][1], dtype=int)
    started(kind).step(action.tolist())
    started(kind).step(torch.as_tensor(action))


@kinds
@given(options=ANYTHING | st.fixed_dictionaries({"architecture": ANYTHING}) | st.just({"arch": START}))
@settings(max_examples=60, deadline=None)
def test_options_of_reset_are_taken_or_refused_in_one_line(kind, options):
    error = refusal(partial(make(kind).reset, options=options))
    if error is None:
        assert options in (None, {}, {"architecture": None})
    else:
        assert "architecture" in str(error)


ODD = st.sampled_from([0, -1, 1.5, float("nan"), float("inf"), 10**30, None, "2", True, [], {}, b"x", object(), ByName])
PERMITTED = {"render_mode": [None], "reward_clip": [None], "initial": []}


@kinds
@pytest.mark.parametrize(
    "name", ["horizon", "reward_clip", "rule", "cost", "invalid_action", "initial", "space", "evaluator", "render_mode"]
)
@given(value=ODD)
@settings(max_examples=15, deadline=None)
def test_arguments_out_of_range_are_refused_when_the_environment_is_made(kind, name, value):
    if (kind == "vector" and name == "render_mode") or (name == "evaluator" and isinstance(value, Evaluator)):
        return
    if value in PERMITTED.get(name, ()) or (name == "reward_clip" and value in (1.5, 10**30) and value is not True):
        return
    assert refusal(partial(make, kind, **{name: value}))


@pytest.mark.parametrize("name", ["num_envs", "group_size"])
@given(value=ODD)
@settings(max_examples=15, deadline=None)
def test_numbers_of_the_vector_environment(name, value):
    with pytest.raises(ValueError, match=name):
        ArchTransitionVectorEnv(**{"num_envs": 4, "evaluator": ByName(), name: value})


@pytest.mark.parametrize(
    ("evaluator", "message"),
    [
        (ByName, "an object of a subclass of natrl.evaluation.Evaluator, got the class ByName"),
        (lambda architectures: np.zeros(len(architectures)), "natrl.evaluation.Evaluator, got a value of function"),
        (None, "natrl.evaluation.Evaluator, got a value of NoneType"),
        ("table", "unknown reward 'table'; known: supernet, scratch, table:NAME, table:FILE"),
    ],
)
def test_what_is_no_evaluator_is_refused(evaluator, message):
    with pytest.raises(ValueError, match=message):
        ArchTransitionEnv(evaluator=evaluator)


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        (None, "NoneType"),
        ("abc", "<U3 of shape \\(\\)"),
        ([0.5, 0.5], "float64 of shape \\(2,\\)"),
        ([[0.5]], "float64 of shape \\(1, 1\\)"),
        ([None], "list"),
        ([True], "bool of shape \\(1,\\)"),
    ],
)
def test_an_evaluator_that_returns_no_number_for_each_is_named(returned, got):
    class Odd(Evaluator):
        def evaluate(self, architectures):  # type: ignore[no-untyped-def]
            return returned

    with pytest.raises(ValueError, match=f"a number for each architecture, float64 of shape \\(1,\\); got {got}"):
        ArchTransitionEnv(evaluator=Odd()).reset(seed=0)


def test_scores_may_be_of_any_numbers():
    class Whole(Evaluator):
        def evaluate(self, architectures):  # type: ignore[no-untyped-def]
            return [1] * len(architectures)

    assert CachedEvaluator(Whole()).evaluate([START]).tolist() == [1.0]


class Contradiction(Space):
    """Says five slots and has six."""

    name, primitives, n_slots, skeleton = "contradiction", SPACE.primitives, 5, SPACE.skeleton

    def sample(self, rng: np.random.Generator) -> Architecture:
        return SPACE.sample(rng)


@kinds
def test_a_space_that_contradicts_itself_is_named_at_the_first_reset(kind):
    env = make(kind, space=Contradiction())
    with pytest.raises(ValueError, match="space 'contradiction' has 5 slots, this architecture has 6"):
        env.reset(seed=0)


def test_seeds_of_a_vector_environment():
    env = make("vector")
    first, _ = env.reset(seed=[4, 5, 6])
    again, _ = env.reset(seed=4)
    np.testing.assert_array_equal(first["ops"], again["ops"])
    with pytest.raises(ValueError, match="seed is a number, or one for each of 3 environments, got 0"):
        env.reset(seed=[])
