"""Which finalist is trained to the end: each for an epoch, then the best goes on, and the original beside it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

from rich.progress import Progress
from torch import nn

from natrl.modules.space import ModuleSpace
from natrl.training.fine_tuning import Tuned
from natrl.tuning.finalists import choose, Finalist
from natrl.tuning.optimize.journal import keep_tuned, tuned_before
from natrl.tuning.optimize.settings import OptimizeSettings
from natrl.tuning.optimize.tasks import Task

__all__ = ["Halving"]

FIRST = 1  # epochs that every finalist is trained for


@dataclass(frozen=True)
class Halving:
    """Successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943) of finalists in two rungs.

    One epoch decides, since six of them cost less than another training to the end, and what is spent on the result
    makes it better. Plain tasks, since a Tune trial takes as long to start as such an epoch.
    """

    space: ModuleSpace
    task: Task
    run: Path  # where each network is kept as soon as it is trained
    bar: Progress

    def best(self, finalists: Sequence[Finalist], settings: OptimizeSettings) -> tuple[Finalist, nn.Module | None]:
        """The best on validation data, trained for all of `fine_tuning`, and the original trained alike.

        `finalists` come best first. Trainings that cannot be shortened, as functions of a user's cannot, are done to
        the end, of half as many. The original is None where nobody asked for it, or nothing is trained.
        """
        wanted, original = settings.tune_original and self.task.trains, self.space.architecture
        alike = [Finalist(original, None, network=deepcopy(self.space.model).cpu())] if wanted else []
        if not self.task.has_epochs:
            finalists = finalists[: max(1, len(finalists) // 2)]
        elif len(finalists) > 1 and settings.fine_tuning.epochs > FIRST:
            trained = self._trained([*finalists, *alike], _with_epochs(settings, FIRST), heat=True)
            finalists, alike = [choose(trained[: len(finalists)], self.space.cost)], trained[len(finalists) :]
            settings = _with_epochs(settings, settings.fine_tuning.epochs - FIRST)
        trained = self._trained([*finalists, *alike], settings)
        return choose(trained[: len(finalists)], self.space.cost), trained[-1].network if alike else None

    def _trained(
        self, finalists: Sequence[Finalist], settings: OptimizeSettings, *, heat: bool = False
    ) -> list[Finalist]:
        """With trained weights. Those that were trained before are not again."""
        done = [tuned_before(self.run, f.architecture, heat=heat) for f in finalists]
        missing = [f for f, tuned in zip(finalists, done, strict=True) if tuned is None]
        shown = self.bar.add_task("first epochs" if heat else "fine-tuning", total=len(missing), note="")

        def keep(index: int, tuned: Tuned) -> None:
            keep_tuned(self.run, missing[index].architecture, tuned, heat=heat)
            self.bar.advance(shown)

        if missing:
            fresh = iter(self.task.tune([_network(f) for f in missing], settings, self.space.model, keep))
            done = [tuned or next(fresh) for tuned in done]
        return [
            replace(f, validation=(tuned.score,), network=tuned.load_into(_network(f)).eval())
            for f, tuned in zip(finalists, done, strict=True)
            if tuned is not None
        ]


def _with_epochs(settings: OptimizeSettings, epochs: int) -> OptimizeSettings:
    return replace(settings, fine_tuning=replace(settings.fine_tuning, epochs=epochs))


def _network(finalist: Finalist) -> nn.Module:
    assert finalist.network is not None
    return finalist.network
