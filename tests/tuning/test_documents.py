"""Settings from files: YAML and JSON, presets, mistakes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import natrl
from natrl.documents import read_document
from natrl.rllib.settings import LearnSettings
from natrl.runs.settings import RunSettings
from natrl.training.weight_settings import PAPER as PAPER_WEIGHTS
from natrl.training.weight_settings import WeightSettings
from natrl.tuning.documents import complete, in_vain, read_settings
from natrl.tuning.presets import without_presets


def written(tmp_path, text, name="run.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_yaml_and_json_mean_the_same(tmp_path):
    """PyYAML alone reads 1e-4 as text."""
    yaml = written(tmp_path, "learn: {learning_rate: 1e-4, clip: .2e+0, iterations: 3}\ninitial: [DARTS, VGG]\n")
    document = {"learn": {"learning_rate": 1e-4, "clip": 0.2, "iterations": 3}, "initial": ["DARTS", "VGG"]}
    json_file = written(tmp_path, json.dumps(document), "run.json")
    assert read_document(yaml) == read_document(json_file) == document
    assert complete(read_settings(yaml)).initial == ("DARTS", "VGG")


def test_settings_of_a_run_come_back_whole(tmp_path):
    settings = complete({"learn": {"algorithm": "reinforce", "weight_steps": 7}, "seed": 4})
    path = written(tmp_path, json.dumps({"settings": settings.to_dict(), "command": "natrl train"}), "config.json")
    assert complete(read_settings(path)) == settings


def test_what_is_left_out_suits_the_reward():
    table = complete({"evaluator": {"reward": "table:nasbench201", "space": "nasbench201"}})
    assert table == RunSettings(evaluator=table.evaluator)
    assert table.evaluator.metric == "accuracy"
    supernet = complete({"learn": {"weight_steps": 10, "iterations": 20}, "seed": 3})
    assert (supernet.evaluator.metric, supernet.initial, supernet.keep) == ("cross_entropy", "pool:80", 2.0)
    assert supernet.evaluator.total_steps == 2500 + 20 * 10
    assert supernet.evaluator.seed == 3
    assert complete({"learn": {"batch_size": 8}}).learn.minibatch_size == 8
    assert complete({"learn": {"algorithm": "reinforce"}}).learn.group_size == 4 != LearnSettings().group_size


PAPER = {"evaluator": {"schedule": "paper"}}


def test_the_papers_schedule():
    """arXiv 2102.10301, section 6.1; of digits' 800 images 320 train the weights in batches of 64."""
    settings = complete(PAPER)
    learn, spec = settings.learn, settings.evaluator
    assert (learn.algorithm, learn.baseline, learn.baseline_decay, learn.standardise) == (
        "reinforce",
        "ema",
        0.99,
        False,
    )
    assert (learn.learning_rate, learn.final_learning_rate, learn.beta1, learn.beta2) == (3e-4, 3e-4, 0.5, 0.999)
    assert (learn.weight_decay, learn.entropy, learn.final_entropy, learn.gradient_clip) == (5e-4, 0.003, 0.003, None)
    assert (learn.iterations, learn.weight_steps, learn.updates, learn.warmup_steps) == (200, 320 // 64, 480 // 64, 0)
    assert (learn.batch_size, learn.group_size) == (1, 1)
    assert (spec.metric, spec.weight_share, spec.score_images, spec.total_steps) == ("accuracy", 0.4, 64, 1000)
    assert spec.weights == WeightSettings(
        fair=False, optimizer="sgd", learning_rate=0.01, momentum=0.9, weight_decay=3e-4, warmup=0.0, cosine=False
    )
    assert spec.skeleton == natrl.Skeleton(channels=20, cells=8)
    assert (settings.head, settings.initial, settings.keep, settings.reward_clip) == ("joint", "uniform", 0.0, None)


def test_what_is_given_wins_over_the_papers_schedule():
    given = {
        "evaluator": {"schedule": "paper", "weights": {"momentum": 0.5}, "weight_share": 0.5, "skeleton": {"cells": 2}},
        "learn": {"entropy": 0.1, "updates": 3, "weight_steps": 2, "batch_size": 4},
        "head": "autoregressive",
    }
    settings = complete(given)
    assert (settings.learn.entropy, settings.learn.updates, settings.learn.weight_steps) == (0.1, 3, 2)
    assert settings.learn.batch_size == 4
    assert settings.evaluator.weights == replace(PAPER_WEIGHTS, momentum=0.5)
    assert settings.evaluator.weight_share == 0.5
    assert settings.evaluator.skeleton == natrl.Skeleton(channels=20, cells=2)
    assert settings.head == "autoregressive"
    assert complete({**PAPER, "learn": {"algorithm": "ppo"}}).learn.batch_size == 64, "one episode is no batch of PPO"
    assert (
        complete({"evaluator": {"schedule": "paper", "reward": "scratch"}}).learn
        == complete({"evaluator": {"reward": "scratch"}}).learn
    ), "from scratch it is only the training of networks"


def test_the_papers_schedule_on_another_space_keeps_its_network():
    spec = complete({"evaluator": {"schedule": "paper", "space": "nasbench201"}}).evaluator
    assert spec.skeleton == natrl.space("nasbench201").skeleton


@pytest.mark.parametrize(("old", "new"), [("quick", "paper"), ("paper", "quick")])
def test_another_schedule_than_a_runs_is_another_training(old, new):
    run = complete({"evaluator": {"schedule": old, "data": "digits", "actors": 2}, "seed": 3}).to_dict()
    left = without_presets(run)
    left["evaluator"]["schedule"] = new
    expected = {"evaluator": {"schedule": new, "data": "digits", "actors": 2}, "seed": 3}
    assert complete(left) == complete(expected)


def test_predicted_episodes_are_many_and_iterations_few():
    """Whatever an evaluation costs: a surrogate answers for nearly all of them."""
    table = {"reward": "table:nasbench201", "space": "nasbench201"}
    learn = complete({"evaluator": {**table, "surrogate": 100}}).learn
    assert (learn.iterations, learn.batch_size, learn.entropy, learn.reward_scale) == (120, 256, 0.1, 100.0)
    assert complete({"evaluator": table}).learn.iterations == 235
    scratch = complete({"evaluator": {"reward": "scratch", "surrogate": 100}})
    assert (scratch.learn.iterations, scratch.learn.batch_size) == (120, 256)
    assert scratch.evaluator.surrogate_every == 13
    assert complete({"evaluator": {**table, "surrogate": 100}, "learn": {"iterations": 9}}).learn.iterations == 9


def test_a_skeleton_given_in_part_is_the_spaces_in_the_rest():
    spec = complete({"evaluator": {"space": "nasbench201", "skeleton": {"channels": 4}}}).evaluator
    assert spec.skeleton == replace(natrl.space("nasbench201").skeleton, channels=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learn: {iterations: 3", r"run\.yaml, line 1: expected ',' or '}'"),
        ("head: joint\nhead: lstm", r"run\.yaml, line 2: 'head' is given twice"),
        ("- head", r"run\.yaml: expected names and their values, got \['head'\]"),
        ("a: !!python/object/apply:os.getcwd []", r"run\.yaml, line 1: could not determine a constructor for the tag"),
        ("parameters: {}", r"is a search space, not the settings of one run: natrl sweep"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_settings(written(tmp_path, text))


def test_a_missing_file(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.yaml cannot be read: No such file"):
        read_settings(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"learn": {"iterations": "ten"}}, "settings.learn: iterations must be a whole number, got 'ten'"),
        ({"learn": {"entropy": True}}, "settings.learn: entropy must be a number, got True"),
        ({"learn": {"standardise": 1}}, "settings.learn: standardise must be true or false, got 1"),
        ({"head": 3}, "head: expected .* a subclass of nn.Module, got a value of int"),
        ({"initial": ["DARTS", 3]}, r"settings: initial must be text or a list \(text\), got"),
        ({"reward_clip": "1"}, "settings: reward_clip must be a number or None, got '1'"),
        ({"evaluator": {"schedule": "slow"}}, "unknown schedule 'slow'; known: paper, quick"),
        ({"evaluator": {"weights": {"optimizer": "lion"}}}, "unknown optimizer 'lion'; known: adamw, sgd"),
        ({"evaluator": {"weight_share": 0.0}}, "weight_share must be above 0 and at most 1, got 0.0"),
        ({"learn": {"beta1": 1.0}}, r"beta1 must be in \[0, 1\), got 1.0"),
        ({"learn": {"updates": 0}}, "updates must be at least 1, got 0"),
        ({"learn": 3}, "settings.learn: expected fields and values, got 3"),
        ({"learn": None}, "settings.learn: expected fields and values, got None"),
    ],
)
def test_values_of_another_type(document, message):
    with pytest.raises(ValueError, match=message):
        complete(document)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"evaluator": {"schedule": "quick", "actors": 2, "timeout": 5, "surrogate": None}},
        {"evaluator": {"reward": "table:nasbench201", "space": "nasbench201"}, "learn": {"algorithm": "reinforce"}},
        {"evaluator": {"reward": "scratch"}, "learn": {"algorithm": "reinforce", "baseline": "ema"}},
        {"learn": {"iterations": 0}},  # which `complete` refuses
    ],
)
def test_the_settings_of_a_run_say_nothing_in_vain(document):
    assert in_vain(document) == []
    if document != {"learn": {"iterations": 0}}:
        assert in_vain(complete(document).to_dict()) == []
