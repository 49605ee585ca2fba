"""Which failures of a trial count."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("ray")

from ray import cloudpickle
from ray.exceptions import NodeDiedError, RayActorError
from ray.tune import Callback

from natrl.evaluation.pool.losses import MOST_LOSSES
from natrl.tuning.experiment import restored_tuner
from natrl.tuning.failures import ForgiveLosses

DIED = RayActorError(error_msg="Worker exit type: SYSTEM_ERROR")
LEFT = RayActorError(error_msg="The actor died because its node has died. Node Id: 1")


class Trial(SimpleNamespace):
    def fail(self, error, counted=True):
        """As Tune does before it calls on_trial_recover."""
        self.run_metadata.num_failures += counted
        with open(self.pickled_error_file, "wb") as file:
            cloudpickle.dump(error, file)


@pytest.fixture
def trial(tmp_path):
    path = str(tmp_path / "error.pkl")
    return Trial(trial_id="a", run_metadata=SimpleNamespace(num_failures=0), pickled_error_file=path)


def test_only_failures_that_are_not_a_machines_count(trial):
    forgive = ForgiveLosses()
    for error, counts in ((LEFT, 0), (NodeDiedError("gone"), 0), (DIED, 1), (LEFT, 1), (ValueError("no"), 2)):
        trial.fail(error)
        forgive.on_trial_recover(0, [trial], trial)
        assert trial.run_metadata.num_failures == counts
    trial.fail(RayActorError(preempted=True), counted=False)  # Tune's own forgiveness is not forgiven twice
    forgive.on_trial_recover(0, [trial], trial)
    assert trial.run_metadata.num_failures == 2


def test_a_trial_that_takes_every_machine_down_ends(trial):
    forgive = ForgiveLosses()
    for _ in range(MOST_LOSSES + 3):
        trial.fail(LEFT)
        forgive.on_trial_recover(0, [trial], trial)
    assert trial.run_metadata.num_failures == 3


def test_damaged_files_of_tunes_are_named_in_one_line(tmp_path, ray_session):
    (tmp_path / "tune").mkdir()
    (tmp_path / "tune" / "tuner.pkl").write_bytes(b"\x80\x05half a pickle")
    (tmp_path / "tune" / "experiment_state-2026-01-01_00-00-00.json").write_text("{")
    with pytest.raises(
        ValueError, match=r"^Tune's files in .*tune are damaged, or another natrl's \(.*\); start anew$"
    ):
        restored_tuner(tmp_path, trainable=Callback)
