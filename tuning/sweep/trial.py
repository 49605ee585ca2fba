"""One trial of a sweep: a run whose configuration is a document of settings."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ray.tune import PlacementGroupFactory, Trainable

from natrl.runs.metrics import METRICS
from natrl.runs.settings import RunSettings
from natrl.tuning.configuration import run_configuration
from natrl.tuning.documents import complete

__all__ = ["SweepTrial"]


class SweepTrial(Trainable):
    """Trains as `natrl train` would with the same settings, and ends after their iterations.

    Tune's parameters are the fields of a run, nested as in `natrl train --config`; any of them may differ between
    trials, the algorithm too. What the evaluator is paid for goes into the ledger that all trials share
    (`tune.with_parameters` hands its path over). A trial asks for a placement group that holds all of its evaluator
    actors, so that trials never wait for each other's. Results hold the metrics of a run and nothing of RLlib's.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> PlacementGroupFactory:
        """What the trial's algorithm asks for."""
        configuration = run_configuration(complete(config), ledger=None)
        return configuration.algo_class.default_resource_request(configuration)

    def setup(self, config: dict[str, Any], ledger: Path | None = None, settings: tuple[RunSettings, ...] = ()) -> None:
        """Builds the algorithm; `tune.with_parameters` gives the rest, here and on a reset.

        (Unpickling the settings made known what they name.)
        """
        self._settings = complete(config)
        with warnings.catch_warnings():  # RLlib registers its environment again for every algorithm of a process
            warnings.filterwarnings("ignore", ".*Overriding environment rllib-", UserWarning)
            self._algorithm = run_configuration(self._settings, ledger).build_algo()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Starts anew with other settings in the same process, which saves seconds of imports."""
        self._algorithm.stop()
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """One iteration: the metrics of a run."""
        result = self._algorithm.train()
        own = ("training_iteration", "time_total_s")  # Tune counts these itself
        metrics = {name: result[name] for name in METRICS if name in result and name not in own}
        return metrics | {"done": self.iteration + 1 >= self._settings.learn.iterations}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """The algorithm's own checkpoint, the policy in it."""
        self._algorithm.save_checkpoint(checkpoint_dir)

    def load_checkpoint(self, checkpoint: str | dict[str, Any] | None) -> None:
        """Goes on from `save_checkpoint`."""
        self._algorithm.load_checkpoint(str(checkpoint))

    def cleanup(self) -> None:
        """Ends the evaluator's actors."""
        self._algorithm.stop()
