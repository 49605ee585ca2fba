"""Paths are made absolute where they come in, and everything that is no path is left as it is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natrl.core.genotypes import zoo
from natrl.evaluation.factory import EvaluatorSpec
from natrl.files.paths import absolute, absolute_architecture, absolute_reference, absolute_settings
from natrl.runs.settings import RunSettings
from natrl.tuning.documents import read_settings
from natrl.tuning.sweep import read_plan

RELATIVE = st.text(st.characters(blacklist_characters="\0/~", blacklist_categories=("Cs",)), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@given(RELATIVE, RELATIVE)
def test_an_absolute_path_is_the_same_wherever_it_is_read(folder, name):
    path = absolute(name, f"/{folder}")
    assert path == Path("/", folder, name)
    assert absolute(path, "/elsewhere") == path


@given(RELATIVE)
def test_references_are_made_absolute_once(name):
    for scheme in ("table", "folder"):
        found = absolute_reference(f"{scheme}:./{name}.csv", "/there")
        assert found == f"{scheme}:/there/{name}.csv"
        assert absolute_reference(found, "/elsewhere") == found


@pytest.mark.parametrize(
    "text",
    [
        *("table:nasbench201", "table:nasbench201:cifar100", "table:nasbench202", "supernet", "digits", "mydata:load"),
        *("torchvision:resnet18", "table:", "pool:8", "uniform", "", *zoo()),
    ],
)
def test_names_are_no_paths(text):
    assert absolute_reference(text) == text
    assert absolute_architecture(text) == text


def test_home_and_parents(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert absolute("~/runs/../out") == Path("/home/someone/out")
    assert absolute_reference("folder:~/imgs") == "folder:/home/someone/imgs"


def test_architectures_in_files(tmp_path):
    (tmp_path / "mine.json").write_text("{}")
    (tmp_path / "DARTS").write_text("a file of that name: the architecture of the zoo goes first")
    assert absolute_architecture("mine.json", tmp_path) == str(tmp_path / "mine.json")
    assert absolute_architecture("mine.json:BEST", tmp_path) == f"{tmp_path / 'mine.json'}:BEST"
    assert absolute_architecture("DARTS", tmp_path) == "DARTS"
    assert absolute_architecture("nowhere.json", tmp_path) == "nowhere.json"


def test_settings_made_in_python_are_relative_to_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text("{}")
    settings = RunSettings(evaluator=EvaluatorSpec(reward="table:mine.csv"), initial=("mine.json", "VGG"))
    os.chdir("/")
    assert settings.evaluator.reward == f"table:{tmp_path / 'mine.csv'}"
    assert settings.initial == (str(tmp_path / "mine.json"), "VGG")
    assert EvaluatorSpec(data="folder:imgs").data == "folder:/imgs"


def test_files_are_relative_to_their_own_folder(tmp_path, monkeypatch):
    folder = tmp_path / "of settings"
    folder.mkdir()
    (folder / "mine.json").write_text("{}")
    document = {"evaluator": {"reward": "scratch", "data": "folder:imgs"}, "initial": ["mine.json"], "head": "joint"}
    (folder / "run.json").write_text(json.dumps(document))
    monkeypatch.chdir(tmp_path)
    found = read_settings(Path("of settings", "run.json"))
    assert found["evaluator"] == {"reward": "scratch", "data": f"folder:{folder / 'imgs'}"}
    assert found["initial"] == [str(folder / "mine.json")]
    assert found["head"] == "joint"
    assert absolute_settings(found, "/elsewhere") == found


def test_a_search_space_is_relative_to_its_own_folder(tmp_path, monkeypatch):
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "space.yaml").write_text(
        "settings: {evaluator: {reward: scratch, data: folder:imgs}}\n"
        "parameters: {evaluator.data: {choice: [folder:a, digits]}, seed: {choice: [0, 1]}}\n"
    )
    monkeypatch.chdir(tmp_path)
    plan = read_plan("spaces/space.yaml")
    assert plan.settings["evaluator"]["data"] == f"folder:{tmp_path / 'spaces' / 'imgs'}"
    assert plan.parameters[0].values == (f"folder:{tmp_path / 'spaces' / 'a'}", "digits")
    assert plan.parameters[1].values == (0, 1)
