"""Algorithms by name, and of the user's: what is none is refused in one line before anything starts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from ray import cloudpickle
from ray.rllib.algorithms.ppo import PPOConfig

from natrl.rllib.ppo import TransitionPPOConfig
from natrl.rllib.registry import ALGORITHMS, configuration, LearningAlgorithm
from natrl.rllib.settings import LearnSettings
from natrl.tuning.documents import complete
from tests.rllib.problems import settings


def plain(given: LearnSettings) -> Any:
    return PPOConfig()


def none_at_all(given: LearnSettings) -> Any:
    return given.entropy


def raising(given: LearnSettings) -> Any:
    raise KeyError("two\nlines")


OWN = LearningAlgorithm(
    lambda given: TransitionPPOConfig(), presets={"entropy": 0.25}, in_turns={"entropy": 0.125}, heeds=("baseline",)
)


def test_names() -> None:
    assert ALGORITHMS.names() == ("ppo", "reinforce")
    assert LearnSettings(OWN).algorithm == "tests.rllib.test_registry:OWN"
    assert isinstance(configuration(LearnSettings(OWN)), TransitionPPOConfig)


def test_presets_are_the_algorithms() -> None:
    assert complete({"learn": {"algorithm": OWN}, "evaluator": {"reward": "table:nasbench201"}}).learn.entropy == 0.25
    learn = complete({"learn": {"algorithm": OWN}, "evaluator": {"schedule": "paper"}}).learn
    assert (learn.algorithm, learn.entropy) == ("tests.rllib.test_registry:OWN", 0.125)


@pytest.mark.parametrize(
    ("algorithm", "message"),
    [
        (plain, "must be derived from natrl.rllib.algorithm.TransitionAlgorithm, got PPO"),
        (none_at_all, "must return an RLlib AlgorithmConfig, got a value of float"),
        (raising, "the function raised KeyError: 'two\\nlines'"),
    ],
)
def test_what_makes_no_configuration_is_refused(algorithm: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"^algorithm 'tests.rllib.test_registry:\w+'") as caught:
        configuration(LearnSettings(algorithm))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("algorithm", "message"),
    [
        (3, "algorithm: expected a natrl.rllib.registry.LearningAlgorithm, or a function"),
        (PPOConfig, "got the class PPOConfig"),
        ("absent_module:ALGO", "algorithm 'absent_module:ALGO': No module named 'absent_module'"),
        ("json:__name__", "algorithm 'json:__name__': expected a natrl.rllib"),
        ("sarsa", "unknown algorithm 'sarsa'; known: ppo, reinforce, module:object"),
    ],
)
def test_what_is_no_algorithm_is_refused(algorithm: Any, message: str) -> None:
    for settle in (LearnSettings, lambda name: complete({"learn": {"algorithm": name}})):
        with pytest.raises(ValueError, match=r".") as caught:
            settle(algorithm)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_own_baseline_is_no_critic() -> None:
    with pytest.raises(ValueError, match="belongs to ppo"):
        LearnSettings(OWN, baseline="critic")
    assert LearnSettings(plain, batch_size=4).minibatch_size == 128, "which it does not heed"


def test_settings_travel_with_an_algorithm_that_one_process_alone_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    local = LearningAlgorithm(lambda given: TransitionPPOConfig(), presets={"entropy": 0.5})
    pickled = cloudpickle.dumps(settings(local))
    monkeypatch.setattr(ALGORITHMS, "_entries", {k: v for k, v in ALGORITHMS._entries.items() if ":" not in k})
    there = cloudpickle.loads(pickled)
    assert ALGORITHMS.get(there.algorithm).presets == {"entropy": 0.5}
    assert isinstance(configuration(there), TransitionPPOConfig)


def test_settings_load_no_ray() -> None:
    """In a process of its own, half a second: `natrl report` and others read settings only."""
    code = "import sys; from natrl.rllib.settings import *; LearnSettings('reinforce'); print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
