"""What is resumed keeps its settings and may get more iterations; what fails at once leaves nothing. Half a minute."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import natrl.tuning.run
from natrl.evaluation.factory import EvaluatorSpec
from natrl.rllib.reinforce import REINFORCEConfig
from natrl.runs.directory import begun, read_config
from natrl.runs.metrics import last_result, read_progress
from natrl.runs.settings import RunSettings
from natrl.tuning.documents import complete, over
from natrl.tuning.experiment import RunError
from natrl.tuning.resuming import check_same, differences, extend_trial
from tests.commands.cli import error, output, run

TRAIN = ("--space", "nasbench201", "--reward", "table:nasbench201", "--batch-size", 16)


@pytest.fixture(scope="module")
def finished(ray_session, tmp_path_factory):
    """A run of two iterations that has ended."""
    path = tmp_path_factory.mktemp("runs") / "my run"
    assert run("train", *TRAIN, "--iterations", 2, "--out", path) == 0
    return path


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--space", "darts", "--rule", "nat", "--seed", 5), ("evaluator.space", "rule", "seed", "evaluator.seed")),
        (("--iterations", 1), ("learn.iterations (2 then, 1 now)", "iterations can be added")),
        (("--iterations", 8, "--entropy", 0.5), ("learn.entropy (0.06 then, 0.5 now)",)),
        (("--mlflow", "x"), ("--mlflow and --wandb go with a new run",)),
    ],
)
def test_other_settings_are_refused_and_named(finished, capsys, options, named):
    before = read_config(finished)
    printed = error(capsys, "train", "--resume", finished, *options)
    for name in named:
        assert name in printed
    assert read_config(finished) == before


def test_equal_settings_and_more_iterations(finished, capsys):
    output(capsys, "train", "--resume", finished, *TRAIN, "--iterations", 2)
    assert last_result(finished)["training_iteration"] == 2
    first = read_progress(finished)
    output(capsys, "train", "--resume", finished, "--iterations", 4)
    assert [row["training_iteration"] for row in read_progress(finished)] == [1, 2, 3, 4]
    assert read_progress(finished)[:2] == first
    assert read_config(finished)["settings"]["learn"]["iterations"] == 4
    output(capsys, "train", "--resume", finished)
    assert last_result(finished)["training_iteration"] == 4


def test_a_failed_first_try_leaves_nothing(ray_session, tmp_path, monkeypatch):
    def fail(tuner, directory, **options):
        (directory / "tune" / "trial").mkdir(parents=True)
        raise RunError("training failed")

    monkeypatch.setattr(natrl.tuning.run, "train_to_end", fail)
    settings = RunSettings(evaluator=EvaluatorSpec(reward="table:nasbench201", space="nasbench201"))
    for _ in range(2):
        with pytest.raises(RunError, match="training failed"):
            natrl.tuning.run.train(settings, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def fail_after(directory, path):
    with begun(directory):
        (directory / path).mkdir(parents=True)
        raise ValueError("it failed")


def test_what_is_worth_keeping_is_kept(tmp_path):
    (tmp_path / "empty").mkdir()
    for name, path in (("run", "tune/trial/checkpoint_000000"), ("new", "tune/trial"), ("empty", "policy")):
        with pytest.raises(ValueError, match="it failed"):
            fail_after(tmp_path / name, path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "empty",
        "run",
        "run/tune",
        "run/tune/trial",
        "run/tune/trial/checkpoint_000000",
    ]


def test_what_a_user_has_there_is_never_touched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists and is not empty"), begun(tmp_path):
        pass
    assert (tmp_path / "notes.txt").read_text() == "mine"


VALUES = st.none() | st.integers(0, 3) | st.text(max_size=2)


@given(*2 * [st.fixed_dictionaries({"a": VALUES, "b": st.fixed_dictionaries({"c": VALUES, "d": VALUES})})])
def test_each_setting_that_differs_is_named_and_no_other(then, now):
    wanted = {"a": (then["a"], now["a"])} | {f"b.{name}": (then["b"][name], now["b"][name]) for name in "cd"}
    assert differences(then, now) == {name: pair for name, pair in wanted.items() if pair[0] != pair[1]}


def test_lists_and_tuples_are_the_same(tmp_path):
    check_same(tmp_path, {"initial": ["VGG"]}, {"initial": ("VGG",)})


def test_a_seed_on_the_command_line_is_everythings():
    own = complete({"evaluator": {"reward": "supernet"}, "seed": 0}).to_dict()
    found = complete(over(own, {"seed": 5}))
    assert (found.seed, found.evaluator.seed) == (5, 5)
    assert RunSettings.from_dict(over(own, {"seed": None})) == RunSettings.from_dict(own)


def test_a_state_of_tunes_that_is_damaged_is_named(tmp_path):
    (tmp_path / "tune").mkdir()
    for text in ("{", "[]", '{"trial_data": [["{}", "{}"]]}'):
        (tmp_path / "tune" / "experiment_state-2026.json").write_text(text)
        with pytest.raises(ValueError, match=r"experiment_state-2026\.json is damaged, or another Ray's"):
            extend_trial(tmp_path, REINFORCEConfig(), 3)


def test_the_space_has_the_name_of_the_process_that_goes_on(tmp_path):
    """A space that no registry knows is numbered by each process: a notebook's second one is "…#2"."""
    config = REINFORCEConfig().environment(env_config={"space": "mine:Space()#2"})
    old = {"env_config": {"space": "mine:Space()", "horizon": 1}}
    trial = {"stopping_criterion": {"training_iteration": 3}, "config": old, "_Trial__unresolved_config": old}
    file = tmp_path / "tune" / "experiment_state-2026.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"trial_data": [[json.dumps(trial), "{}"]]}))
    extend_trial(tmp_path, config, 3)
    ((text, _),) = json.loads(file.read_text())["trial_data"]
    for kept in ("config", "_Trial__unresolved_config"):
        assert json.loads(text)[kept] == {"env_config": {"space": "mine:Space()#2", "horizon": 1}}
