"""Runs through Tune: a run directory, a kill, a resume. Each run starts worker processes, which takes seconds."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import ray

import natrl
from natrl.core.operations import Convolution
from natrl.evaluation.ledger.file import read_ledger
from natrl.files.writing import write_json
from natrl.policies import load_policy
from natrl.rllib.settings import LearnSettings
from natrl.runs.directory import check_versions, create_run, ledger_file, read_config, results_file, versions
from natrl.runs.metrics import last_result, read_progress
from natrl.runs.settings import EvaluatorSpec, RunSettings
from natrl.spaces.cells import CellSpace
from natrl.tuning.configuration import initial_architectures
from natrl.tuning.run import resume, RunError, train
from tests.tuning.killing import kill_at, knows_a_checkpoint

SETTINGS = RunSettings(
    evaluator=EvaluatorSpec(reward="table:nasbench201", space="nasbench201"),
    learn=LearnSettings(iterations=4, batch_size=16, minibatch_size=16),
    initial="pool:8",
    checkpoint_every=1,
)


CHAIN = natrl.ChainSpace("a chain", [(8, 8, 1)], ("conv_3x3", "skip_connect"), stem=[Convolution(3, 8, (3, 3))])


def test_run_directory(ray_session, tmp_path):
    run = train(SETTINGS, tmp_path / "run", command="natrl train …")
    config = read_config(run)
    assert RunSettings.from_dict(config["settings"]) == SETTINGS
    assert config["command"] == "natrl train …"
    assert set(config["versions"]) == {"python", "natrl", "ray", "torch", "gymnasium", "git"}
    frame = pd.DataFrame(read_progress(run))
    assert list(frame.training_iteration) == [1, 2, 3, 4]
    for column in ("reward_mean", "accuracy_mean", "accuracy_initial_mean", "entropy", "cost_ratio", "share_null"):
        assert frame[column].notna().all(), column
    assert (frame.cost_ratio <= 1).all()
    assert frame.evaluations.is_monotonic_increasing
    assert last_result(run)["training_iteration"] == 4
    policy = load_policy(run)
    architecture = policy.space.sample(np.random.default_rng(0))
    assert policy.transform(architecture).best.is_live
    assert resume(run) == run  # a finished run is left as it is
    assert len(results_file(run).read_text().splitlines()) == 4


def test_networks_that_cannot_be_built_are_no_run(forgotten_operations, tmp_path):
    natrl.register_operation("free", type="free", cost=lambda *_: natrl.Cost(1, 2), may_become=())
    space = CellSpace("of free", nodes=2, primitives=("free", "conv_3x3", "skip_connect", "null"))
    with pytest.raises(ValueError, match="operation 'free' has no builder"):
        train(RunSettings(evaluator=EvaluatorSpec(reward="scratch", space=space)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("space", "reward", "message"),
    [
        (natrl.space("nasbench201"), "inherited", "space 'nasbench201' has no trained network"),
        (CHAIN, "supernet", "space 'a chain' is a chain, whose layers share no weights"),
    ],
)
def test_what_a_reward_needs_of_its_space_is_asked_before_a_run(tmp_path, space, reward, message):
    with pytest.raises(ValueError, match=f"^reward '{reward}': {message}"):
        train(RunSettings(evaluator=EvaluatorSpec(reward=reward, space=space)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_existing_directory_is_left_alone(ray_session, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists and is not empty; choose another --out, or continue it with --resume"):
        train(SETTINGS, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reward": "table:nowhere.csv"}, "no such file"),
        ({"reward": "table:nasbench201", "space": "darts"}, "the table has no architecture of space 'darts'"),
        ({"reward": "supernet", "data": "imaginary"}, "unknown data 'imaginary'"),
        ({"reward": "supernet", "actors": 99}, "need 99 CPUs; this Ray has 4"),
        ({"reward": "supernet", "actors": 1, "num_gpus": 1}, "need 1 GPUs; this Ray has 0"),
    ],
)
def test_what_cannot_work_fails_before_anything_is_written(ray_session, tmp_path, changes, message):
    settings = RunSettings(evaluator=EvaluatorSpec(**changes))
    with pytest.raises(ValueError, match=message):
        train(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_not_a_run(tmp_path):
    with pytest.raises(ValueError, match=r"is not a run directory: config\.json cannot be read"):
        resume(tmp_path)


def test_a_run_of_another_version(tmp_path):
    run = create_run(tmp_path / "run", SETTINGS, "natrl train")
    document = read_config(run)
    document["versions"]["ray"] = "2.9.3"
    write_json(run / "config.json", document)
    message = rf"was made with ray 2\.9\.3, and this is ray {ray.__version__}: go on .* ray==2\.9\.3, or start anew"
    with pytest.raises(ValueError, match=message):
        resume(run)


def test_versions_that_can_be_gone_on_with(tmp_path):
    check_versions(tmp_path, {**versions(), "torch": "1.0", "ray": f"{ray.__version__}.post1"})
    check_versions(tmp_path, {})


def test_initial_architectures_of_another_space_are_refused(ray_session, tmp_path):
    settings = RunSettings(evaluator=SETTINGS.evaluator, learn=SETTINGS.learn, initial=("DARTS",))
    with pytest.raises(ValueError, match="space 'nasbench201' has one cell"):
        train(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_failed_training_says_why(ray_session, tmp_path):
    """The table lacks what the policy reaches from its initial architecture."""
    arch = natrl.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|")
    text = natrl.core.genotypes.to_nasbench201(arch)
    (tmp_path / "table.csv").write_text(f"arch,accuracy\n{text},0.9\n")
    spec = EvaluatorSpec(reward=f"table:{tmp_path / 'table.csv'}", space="nasbench201")
    with pytest.raises(RunError, match=r"training failed: .*is not in table"):
        train(RunSettings(evaluator=spec, learn=SETTINGS.learn, initial=(text,)), tmp_path / "run")


def numbers(run: Path) -> pd.DataFrame:
    columns = ["training_iteration", "reward_mean", "accuracy_mean", "entropy", "evaluations"]
    return pd.DataFrame(read_progress(run))[columns]


def test_killed_and_resumed_equals_undisturbed(ray_session, tmp_path):
    """SIGKILL hits the driver and all of its Ray at a random moment; the run goes on from its last checkpoint, and what
    it had paid for is not paid for again. Takes half a minute.
    """
    moment = random.SystemRandom().uniform(2, 7)  # in iterations
    settings = RunSettings(
        evaluator=SETTINGS.evaluator,
        learn=LearnSettings(iterations=12, batch_size=64, minibatch_size=16, epochs=6),
        initial="pool:20",
        checkpoint_every=2,
    )
    undisturbed = train(settings, tmp_path / "whole")
    program = (
        "import json, sys\n"
        "from natrl.tuning.run import train\n"
        "from natrl.tuning.session import ray_session\n"
        "from natrl.runs.settings import RunSettings\n"
        "with ray_session(num_cpus=2):\n"
        "    train(RunSettings.from_dict(json.loads(sys.argv[1])), sys.argv[2])\n"
    )
    run = tmp_path / "killed"
    kill_at(
        lambda: knows_a_checkpoint(run) and len(read_progress(run)) >= int(moment),
        program,
        *(json.dumps(settings.to_dict()), run),
        then_s=moment % 1 * 0.3,  # an iteration takes about so long
    )
    assert len(numbers(run)) < 12
    paid = read_ledger(ledger_file(run))
    resume(run)
    after = numbers(run)
    print(f"killed after {moment:.2f} iterations")  # shown if what follows fails
    ledger, whole = read_ledger(ledger_file(run)), read_ledger(ledger_file(undisturbed))
    assert (ledger.paid == 1).all()
    assert set(ledger.architecture) == set(whole.architecture)
    pd.testing.assert_frame_equal(ledger.head(len(paid)), paid)  # the time of payment included
    assert results_file(run).read_text().count('"training_iteration": 1,') == 1, "it started anew"
    pd.testing.assert_frame_equal(after, numbers(undisturbed))
    assert (run / "policy" / "policy.safetensors").is_file()


def test_runs_of_other_seeds_start_from_other_pools():
    """And the trials of a sweep that shares one name it."""
    first, second = (initial_architectures(RunSettings(initial="pool:8", seed=seed)) for seed in (0, 1))
    assert (first, second) == ("pool:8:0", "pool:8:1")
    assert initial_architectures(RunSettings(initial="pool:8:5", seed=1)) == "pool:8:5"
    assert initial_architectures(RunSettings(seed=1)) == "uniform"
