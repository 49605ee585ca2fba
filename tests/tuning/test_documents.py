"""Settings from files: YAML and JSON, presets, mistakes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import natrl
from natrl.rllib.settings import LearnSettings
from natrl.tuning.documents import complete, read_document, read_settings
from natrl.tuning.settings import RunSettings


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
    with pytest.raises(ValueError, match=r"nowhere\.yaml: No such file"):
        read_settings(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"learn": {"iterations": "ten"}}, "settings.learn: iterations must be a whole number, got 'ten'"),
        ({"learn": {"entropy": True}}, "settings.learn: entropy must be a number, got True"),
        ({"learn": {"standardise": 1}}, "settings.learn: standardise must be true or false, got 1"),
        ({"head": 3}, "settings: head must be text, got 3"),
        ({"initial": ["DARTS", 3]}, "settings: initial must be text or a list, got"),
        ({"reward_clip": "1"}, "settings: reward_clip must be a number or null, got '1'"),
        ({"learn": 3}, "settings.learn: expected fields and values, got 3"),
    ],
)
def test_values_of_another_type(document, message):
    with pytest.raises(ValueError, match=message):
        complete(document)
