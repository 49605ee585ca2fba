"""Sweeps: search spaces and their mistakes, samplers and schedulers on a table, a kill and a restore.

Each sweep starts worker processes, which takes seconds.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import matplotlib.image
import mlflow
import pandas as pd
import pytest
import yaml
from ray.tune.schedulers import PopulationBasedTraining

import natrl
from natrl.evaluation.ledger.file import read_ledger
from natrl.policies.heads import JointHead
from natrl.report.sweep import sweep_figure
from natrl.rllib.reinforce import configure
from natrl.runs.directory import ledger_file
from natrl.runs.metrics import read_iterations, read_progress
from natrl.runs.parameters import Parameter
from natrl.spaces.cells import CellSpace
from natrl.tuning.documents import complete, read_settings
from natrl.tuning.run import RunError
from natrl.tuning.sweep import read_plan, resume_sweep, run_sweep, SweepPlan
from natrl.tuning.sweep.plan import SHIPPED
from natrl.tuning.sweep.results import best_row
from natrl.tuning.sweep.run import _fit
from natrl.tuning.sweep.search import make_scheduler
from tests.commands.cli import error, output
from tests.tuning.killing import kill_at

SPACES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
TINY = {
    "settings": {
        "evaluator": {"reward": "table:nasbench201", "space": "nasbench201"},
        "learn": {"iterations": 4, "batch_size": 16, "minibatch_size": 16},
        "initial": "pool:8",
        "checkpoint_every": 1,
    },
    "parameters": {"learn.learning_rate": {"loguniform": [1e-4, 1e-2]}, "learn.epochs": {"randint": [1, 4]}},
    "trials": 3,
}


def made_up(space):
    """A reward."""


def plan(**changes):
    return SweepPlan.from_dict(TINY | changes)


# Search spaces


@pytest.mark.parametrize("name", SPACES)
def test_shipped_search_spaces(name):
    shipped = read_plan(name)
    assert SweepPlan.from_dict(json.loads(json.dumps(shipped.to_dict()))) == shipped
    assert f"natrl sweep {name} " in (SHIPPED / f"{name}.yaml").read_text()


def test_the_documented_one(tmp_path):
    page = Path(natrl.__file__).parent.parent / "docs" / "cluster.md"
    (text,) = re.findall(r"```yaml\n(# space.yaml\n.*?)```", page.read_text(), re.DOTALL)
    (tmp_path / "space.yaml").write_text(text)
    documented = read_plan(tmp_path / "space.yaml")
    assert documented.parameters[0].values == (3e-4, 1e-2)
    assert (documented.sampler, documented.scheduler_name, documented.total) == ("optuna", "asha", 32)


def test_there_is_one_for_each_algorithm_the_policy_and_the_ablation():
    assert SPACES == ["ablation", "policy", "ppo", "reinforce"]
    assert read_plan("ablation").total == 2 * 3 * 3
    assert read_plan("ppo", trials=5).total == 5


def test_extremes_cover_every_combination():
    parameters = {"learn.epochs": {"randint": [1, 4]}, "learn.clip": {"uniform": [0.1, 1]}, "rule": {"grid": ["nat"]}}
    found = [(d["learn"]["epochs"], d["learn"]["clip"], d["rule"]) for d in plan(parameters=parameters).extremes()]
    assert found == [(1, 0.1, "nat"), (1, 1.0, "nat"), (3, 0.1, "nat"), (3, 1.0, "nat")]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("uniform", [0.5, 2]),
        ("quniform", [0.5, 2, 0.5]),
        ("loguniform", [0.5, 2]),
        ("qloguniform", [0.5, 2, 0.5]),
        ("randint", [2, 9]),
        ("qrandint", [2, 8, 2]),
        ("lograndint", [2, 9]),
        ("choice", [3, 5]),
    ],
)
def test_samples_lie_between_the_extremes_and_reach_them(kind, values):
    parameter = Parameter.read("x", {kind: values})
    low, high = min(parameter.extremes()), max(parameter.extremes())
    samples = parameter.domain().sample(size=2000, random_state=0)
    assert low <= min(samples) <= max(samples) <= high
    assert min(samples) - low <= 0.01 * (high - low)
    assert high - max(samples) <= 0.01 * (high - low)
    assert parameter.clip(high * 2) == (high if parameter.is_range else high * 2)
    assert not isinstance(low, int) or all(s == int(s) for s in samples)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"samplers": "random"},
            r"unknown 'samplers'; did you mean sampler\? known: trials, concurrent, settings",
        ),
        ({"parameters": {"learn.learnin_rate": {"choice": [1]}}}, "did you mean learn.learning_rate"),
        ({"parameters": {"learn.clip": {"loguniforn": [1, 2]}}}, "'loguniforn'; did you mean loguniform"),
        ({"parameters": {"learn.clip": 0.2}}, "learn.clip: expected one of choice, grid, uniform"),
        ({"parameters": {"learn.clip": {"uniform": [0.1]}}}, r"uniform takes numbers \[lower, upper\], got \[0.1\]"),
        ({"parameters": {"learn.clip": {"uniform": [0.3, 0.1]}}}, "needs lower < upper"),
        ({"parameters": {"learn.clip": {"loguniform": [0, 1]}}}, "loguniform needs lower > 0, got 0"),
        ({"parameters": {"learn.epochs": {"randint": [1.5, 4]}}}, r"randint takes whole numbers \[lower, upper\]"),
        ({"parameters": {"learn.epochs": {"qrandint": [1, 4, 3]}}}, "learn.epochs: qrandint needs multiples of step"),
        ({"parameters": {"learn.clip": {"quniform": [0.1, 0.4, 0.3]}}}, "learn.clip: .*not divisible"),
        ({"parameters": {"head": {"choice": ["joint", "gru"]}}}, "some trials would fail: unknown head 'gru'; known"),
        ({"parameters": {"learn.epochs": {"uniform": [1, 4]}}}, "epochs must be a whole number, got 1.0"),
        ({"parameters": {"learn.batch_size": {"choice": [8, 16]}}}, r"minibatch_size \(16\) must not exceed batch"),
        ({"parameters": {}}, "parameters: at least one is needed"),
        ({"settings": {"hed": "joint"}}, "unknown hed; known"),
        ({"settings": 3}, "settings: expected names and values, got 3"),
        ({"metric": "reward"}, "unknown metric 'reward'; did you mean reward_mean"),
        ({"metric": "score_mean"}, "runs rewarded by accuracy have accuracy_mean"),
        ({"sampler": "grid", "trials": 1}, "sampler grid tries every value; learn.learning_rate has loguniform"),
        ({"sampler": "optuna", "parameters": {"head": {"grid": ["joint"]}}}, "head has grid, give choice instead"),
        ({"sampler": "bayes"}, "unknown sampler 'bayes'; known: random, grid, optuna"),
        ({"trials": "many"}, "trials must be a whole number, got 'many'"),
        ({"trials": 0}, "trials must be at least 1, got 0"),
        ({"scheduler": "ash"}, "unknown scheduler 'ash'; did you mean asha"),
        ({"scheduler": {"asha": {"grace": 2}}}, "scheduler asha: unknown 'grace'; did you mean grace_period"),
        ({"scheduler": {"asha": {"grace_period": 9}}}, "scheduler asha: grace_period must be <= max_t"),
        ({"scheduler": "pbt", "parameters": {"head": {"choice": ["joint"]}}}, r"pbt cannot change head \(choice\)"),
        ({"scheduler": "pbt", "concurrent": 2}, "leave concurrent out"),
        ({"scheduler": "pbt", "sampler": "optuna"}, "scheduler pbt needs sampler random, got optuna"),
        (
            {"parameters": {"learn.baseline": {"choice": ["none", "ema"]}}},
            "learn.baseline does not go with this: ppo learns its own",
        ),
        (
            {"settings": TINY["settings"] | {"evaluator": TINY["settings"]["evaluator"] | {"timeout": 5}}},
            "evaluator.timeout does not go with this: there are no actors",
        ),
    ],
)
def test_mistakes_in_a_search_space(tmp_path, changes, message):
    path = tmp_path / "space.yaml"
    path.write_text(yaml.safe_dump(TINY | changes, sort_keys=False))
    with pytest.raises(ValueError, match=message) as raised:
        read_plan(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_what_some_of_the_trials_heed_is_not_in_vain(tmp_path):
    path = tmp_path / "space.yaml"
    parameters = {"learn.algorithm": {"grid": ["ppo", "reinforce"]}, "learn.baseline": {"choice": ["none", "ema"]}}
    path.write_text(yaml.safe_dump(TINY | {"parameters": parameters, "trials": 1}))
    assert read_plan(path).total == 2


def test_an_unknown_file_lists_what_ships(capsys, tmp_path):
    message = error(capsys, "sweep", "pposs", "-o", tmp_path / "out")
    assert "no such file, and no search space of natrl's: ablation, policy, ppo, reinforce" in message
    assert not (tmp_path / "out").exists()


# Results


def test_the_best_is_one_that_did_not_fail():
    table = pd.DataFrame({"status": ["finished", "failed", "stopped"], "score": [0.1, 0.9, 0.3]})
    assert best_row(plan(), table).name == 2
    assert best_row(plan(mode="min"), table).name == 0
    with pytest.raises(ValueError, match="no trial has a result"):
        best_row(plan(), table[table["status"] == "failed"])


class Fitted:
    """Stands for Tune's tuner after two trials, of which one failed."""

    def __init__(self, folder: Path, *failed: bool) -> None:
        self._results = [
            SimpleNamespace(
                path=str(folder / f"trial_000{i}"),
                config=plan().document({"learn.learning_rate": 1e-3 * i, "learn.epochs": i}),
                error=RuntimeError("a trace\nValueError: no architecture 000") if bad else None,
            )
            for i, bad in enumerate(failed, 1)
        ]

    def fit(self) -> list[SimpleNamespace]:
        return self._results


def test_failed_trials_are_named(ray_session, tmp_path):
    folder = tmp_path / "tune" / "trial_0001"
    (folder / "checkpoint_000000").mkdir(parents=True)
    lines = [{"training_iteration": i, "reward_mean": 0.01 * i, "entropy": 1.0} for i in range(1, 13)]
    (folder / "result.json").write_text("\n".join(map(json.dumps, lines)))
    table = _fit(Fitted(tmp_path / "tune", False, True), plan(), tmp_path)
    assert list(table["status"]) == ["finished", "failed"]
    assert table["score"][0] == pytest.approx(0.075)  # the mean of iterations 3 to 12
    assert list(table["error"]) == ["", "ValueError: no architecture 000"]
    assert list(table["learn.epochs"]) == [1, 2]
    with pytest.raises(RunError, match=r"no trial has a result: ValueError: no architecture 000 \(logs in .*tune\)"):
        _fit(Fitted(tmp_path / "tune", True, True), plan(), tmp_path)


def test_trials_that_fail_at_once_say_why(ray_session, tmp_path):
    """Tune has no configuration of theirs."""
    tuner = Fitted(tmp_path / "tune", True, True)
    for result in tuner.fit():
        result.config = None
    with pytest.raises(RunError, match=r"no trial has a result: ValueError: no architecture 000$"):
        _fit(tuner, plan(), tmp_path)


def test_picture_shows_each_trial_where_its_value_is():
    parameters = {"learn.learning_rate": {"loguniform": [1e-4, 1e-2]}, "head": {"choice": ["joint", "lstm"]}}
    table = pd.DataFrame(
        {
            "trial": ["a", "b", "c"],
            "status": ["finished", "stopped", "failed"],
            "learn.learning_rate": [1e-3, 3e-3, 1e-4],
            "head": ["lstm", "joint", "lstm"],
            "score": [0.2, 0.1, 0.9],
        }
    )
    sweep = plan(parameters=parameters)
    figure = sweep_figure(sweep.parameters, sweep.metric, table, "a")
    rates, heads = figure.axes
    points = {c.get_label(): c.get_offsets()[0].tolist() for c in rates.collections}
    assert points == {"finished": [1e-3, 0.2], "stopped early": [3e-3, 0.1], "best": [1e-3, 0.2]}
    assert rates.get_xscale() == "log"
    columns = {c.get_label(): round(c.get_offsets()[0][0]) for c in heads.collections if len(c.get_offsets())}
    assert columns["finished"] == columns["best"] == 1
    assert columns["stopped early"] == 0
    assert [label.get_text() for label in heads.get_xticklabels()] == ["joint", "lstm"]
    assert figure.get_suptitle() == "2 trials, 1 failed"


def test_objects_stand_where_names_do(tmp_path):
    """Their names are kept, and what these stand for is there for trials."""
    space, heads = CellSpace("unnamed", nodes=2), [type("Own", (JointHead,), {}), "joint"]
    named = SweepPlan(
        settings={"evaluator": {"space": space, "reward": made_up, "data": "digits"}},
        parameters=(Parameter("head", "choice", heads), Parameter("learn.algorithm", "grid", (configure, "ppo"))),
    )
    documents = list(named.extremes())
    assert documents == json.loads(json.dumps(documents))
    settings = [complete(document) for document in documents]
    assert {s.evaluator.home for s in settings} == {space}
    assert {s.learn.algorithm for s in settings} == {"natrl.rllib.reinforce:configure", "ppo"}
    assert settings[0].own["head"].target is heads[0]
    assert SweepPlan.from_dict(json.loads(json.dumps(named.to_dict()))) == named
    with pytest.raises(ValueError, match=r"head: expected a natrl\.policies\.network\.Head or a subclass"):
        plan(parameters={"head": {"choice": [int]}})


# Sweeps


@pytest.fixture(scope="module")
def searched(ray_session, tmp_path_factory):
    """Optuna with ASHA, three trials: the directory and the table."""
    directory = tmp_path_factory.mktemp("sweeps") / "optuna"
    asha = {"asha": {"grace_period": 1, "reduction_factor": 2}}
    return directory, run_sweep(plan(sampler="optuna", scheduler=asha, trials=3), directory)


def test_optuna_and_asha(searched):
    directory, table = searched
    assert list(table["trial"]) == [f"trial_{i:04d}" for i in range(1, 4)]
    assert set(table["status"]) == {"finished", "stopped"}
    ended = table["training_iteration"] == 4
    assert (ended == (table["status"] == "finished")).all()
    assert table["learn.learning_rate"].between(1e-4, 1e-2).all()
    assert table["learn.learning_rate"].nunique() == 3
    for row in table.itertuples():
        progress = read_iterations(directory / "tune" / row.trial / "result.json")
        assert row.score == pytest.approx(sum(r["reward_mean"] for r in progress) / len(progress))
    pd.testing.assert_frame_equal(pd.read_csv(directory / "trials.csv", keep_default_na=False), table)
    image = matplotlib.image.imread(directory / "parameters.png")
    assert image[..., :3].min() < 0.5 < image[..., :3].max()


def test_trials_share_what_was_paid_for(searched, capsys):
    directory, table = searched
    ledger = read_ledger(ledger_file(directory))
    assert (ledger["paid"] == 1).all()
    assert len(ledger) == table["evaluations"].sum() - table["ledger_hits"].sum()
    assert table["ledger_hits"].sum() >= 2 * 8  # the eight initial architectures, paid for by the first of three trials
    assert len(json.loads(output(capsys, "evaluations", directory, "--json"))) == len(ledger)


def test_every_trial_has_tunes_csv_json_and_tensorboard_files(searched):
    directory, table = searched
    for trial in table["trial"]:
        folder = directory / "tune" / trial
        assert len(pd.read_csv(folder / "progress.csv")) == len(read_iterations(folder / "result.json"))
        (events,) = folder.glob("events.out.tfevents.*")
        assert b"ray/tune/reward_mean" in events.read_bytes()


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # MLflow's use of it
def test_the_best_settings_train_as_the_trial_did_and_mlflow_hears_of_it(searched, capsys, tmp_path):
    directory, table = searched
    best = table.loc[table["score"].idxmax()]
    settings = complete(read_settings(directory / "best.yaml"))
    assert settings.learn.learning_rate == best["learn.learning_rate"]
    assert settings.learn.epochs == best["learn.epochs"]
    run = tmp_path / "run"
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    arguments = ("train", "--config", directory / "best.yaml", "--out", run, "--mlflow", store, "--json")
    document = json.loads(output(capsys, *arguments))
    assert document["training_iteration"] == 4
    logged = mlflow.MlflowClient(store)
    (tracked,) = logged.search_runs([logged.get_experiment_by_name("run").experiment_id])
    assert tracked.info.status == "FINISHED"
    assert float(tracked.data.params["learn/learning_rate"]) == best["learn.learning_rate"]
    history = {metric.step: metric.value for metric in logged.get_metric_history(tracked.info.run_id, "reward_mean")}
    assert history == pytest.approx({row["training_iteration"]: row["reward_mean"] for row in read_progress(run)})
    columns = ["training_iteration", "reward_mean", "entropy", "policy_loss", "evaluations"]
    trial = pd.DataFrame(read_iterations(directory / "tune" / best["trial"] / "result.json"))[columns]
    pd.testing.assert_frame_equal(pd.DataFrame(read_progress(run))[columns].head(len(trial)), trial)


def test_population_based_training_hands_policies_on(ray_session, tmp_path):
    """Of two trials the worse goes on from the better one's checkpoint with perturbed settings.

    Their head is one that this process alone knows, and documents of trials only name.
    """
    head = type("Own", (JointHead,), {})
    pbt = {"pbt": {"perturbation_interval": 2, "quantile_fraction": 0.5}}
    parameters = {"learn.learning_rate": {"loguniform": [1e-3, 1.1e-3]}, "learn.epochs": {"choice": [1, 2]}}
    settings = TINY["settings"] | {"head": head}
    table = run_sweep(plan(settings=settings, scheduler=pbt, trials=2, parameters=parameters), tmp_path / "pbt")
    assert list(table["status"]) == ["finished", "finished"]
    handed_on = (tmp_path / "pbt" / "tune" / "pbt_global.txt").read_text().splitlines()
    assert handed_on
    for line in handed_on:
        *_, old, new = json.loads(line)
        assert 1e-3 <= new["learn"]["learning_rate"] <= 1.1e-3
        assert old["learn"] != new["learn"]


def test_a_trial_that_still_saves_is_not_ended_when_it_is_handed_another_policy(monkeypatch):
    """Tune ends after its next checkpoint what it pauses while it saves (https://github.com/ray-project/ray/issues/57906)."""
    saving = []

    def exploit(self, controller, trial, other):
        saving.append(trial.temporary_state.saving_to)

    monkeypatch.setattr(PopulationBasedTraining, "_exploit", exploit)
    scheduler = make_scheduler(plan(scheduler={"pbt": {}}), 4)
    scheduler._exploit(None, SimpleNamespace(temporary_state=SimpleNamespace(saving_to=object())), None)
    assert saving == [None]


def iterations(directory: Path) -> dict[str, int]:
    """How far each trial has come."""
    folders = sorted(directory.glob("tune/trial_*"))
    return {folder.name: len(read_iterations(folder / "result.json")) for folder in folders}


def test_killed_and_restored(ray_session, tmp_path):
    """SIGKILL hits the driver and all of its Ray of two CPUs, on which trials of two evaluator actors take turns."""
    evaluator = TINY["settings"]["evaluator"] | {"actors": 2}
    learn = TINY["settings"]["learn"] | {"iterations": 40}
    settings = TINY["settings"] | {"evaluator": evaluator, "learn": learn, "checkpoint_every": 5}
    whole = plan(settings=settings, trials=2)
    program = (
        "import json, sys\n"
        "from natrl.tuning.session import ray_session\n"
        "with ray_session(num_cpus=2):\n"
        "    from natrl.tuning.sweep import run_sweep, SweepPlan\n"
        "    run_sweep(SweepPlan.from_dict(json.loads(sys.argv[1])), sys.argv[2])\n"
    )
    directory = tmp_path / "killed"
    said = kill_at(
        lambda: list(iterations(directory).values()) >= [40, 1],
        program,
        *(json.dumps(whole.to_dict()), directory),
        then_s=1.2,  # Tune writes its state down once a second
    )
    assert {line.split()[0] for line in said} == {"trials"}, "Ray is quiet"
    first = next(directory.glob("tune/trial_0000/result.json"))
    before = first.read_text()
    assert not (directory / "trials.csv").exists()
    table = resume_sweep(directory)
    assert list(table["status"]) == ["finished"] * 2
    assert iterations(directory) == dict.fromkeys(table["trial"], 40)
    assert first.read_text() == before
    assert (directory / "best.yaml").is_file()
    pd.testing.assert_frame_equal(resume_sweep(directory), table)  # a finished sweep is left as it is


def test_not_a_sweep(ray_session, capsys, tmp_path):
    assert "is not a sweep directory: sweep.json cannot be read" in error(capsys, "sweep", "--resume", tmp_path)
