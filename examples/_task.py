"""The task that all examples learn: to transform architectures of NAS-Bench-201, those held out included.

A fifth of the 9,000-odd functions that the space holds is never trained on (`natrl.core.isomorphism.held_out`). What is
printed is the capture on them: what was gained as a share of what could be gained (natrl/bench/capture.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from _numbers import count, seed

import natrl
import natrl.envs  # registers the environments
from natrl.bench.capture import best_reachable, capture
from natrl.core.architecture import Architecture
from natrl.core.isomorphism import held_out
from natrl.evaluation import load_table
from natrl.spaces import Batch

__all__ = ["JOINT", "SEQUENTIAL", "Task", "load_task", "parser", "report"]

JOINT, SEQUENTIAL = "natrl/ArchTransition-v0", "natrl/ArchTransitionSequential-v0"

#: Chooses an action from an observation and the mask, bool (E, K) or (K,).
Choose = Callable[[Any, np.ndarray], Any]


class Task:
    """The initial architectures to learn from, those held out (`measured` of them), and the measure."""

    def __init__(self, measured: int = 400) -> None:
        space = natrl.space("nasbench201")
        self._table = load_table("nasbench201:cifar10")
        everything = list(space.architectures())
        live = [a for a in everything if a.is_live]
        others = [a for a in live if held_out(a)]
        self._train = Batch.of(space, [a for a in live if not held_out(a)])
        self._test = [others[i] for i in np.random.default_rng(0).permutation(len(others))[:measured]]
        self._accuracies = dict(zip(everything, self._table.evaluate(everything).tolist(), strict=True))
        self._best = best_reachable(space, self._accuracies)

    def make(self, env_id: str = JOINT) -> gymnasium.Env:
        """The environment to learn in; each call makes another."""
        return gymnasium.make(env_id, space="nasbench201", evaluator=self._table, initial=self._train)

    def capture(self, choose: Choose, env: gymnasium.Env | None = None) -> float:
        """Of the held-out architectures, each transformed once by `choose`: at most 1; 0 is leaving them alone.

        `env`, wrapped so that it shows what `choose` reads, is the joint environment where it is not given.
        """
        return capture(self._test, self._answers(choose, env), self._accuracies, self._best)

    def draw(self, path: Path, title: str, choose: Choose, env: gymnasium.Env | None = None) -> None:
        """What `choose` makes of each of them, as a picture."""
        from _pictures import draw_gains  # matplotlib takes a second

        old, new = ([self._accuracies[a] for a in some] for some in (self._test, self._answers(choose, env)))
        draw_gains(path, old, new, [self._best[a] for a in self._test], title)

    def _answers(self, choose: Choose, env: gymnasium.Env | None) -> list[Architecture]:
        env = env or self.make()
        return [transformed(env, a, choose) for a in self._test]

    @cached_property
    def random_capture(self) -> float:
        """The same of uniform choices within the mask: what learning has to beat."""
        rng = np.random.default_rng(0)
        return self.capture(lambda _, mask: np.where(mask, rng.random(mask.shape), -1).argmax(-1))


@cache
def load_task() -> Task:
    """The task, made once a process: it takes some seconds."""
    return Task()


def transformed(env: gymnasium.Env, architecture: Architecture, choose: Choose) -> Architecture:
    """What one episode makes of the architecture."""
    observation, info = env.reset(options={"architecture": architecture})
    ended = False
    while not ended:
        action = choose(observation, env.get_wrapper_attr("action_mask"))
        observation, _, ended, _, info = env.step(action)
    return info["architecture"]


def parser(description: str | None, steps: int) -> argparse.ArgumentParser:
    """The options of every example."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--steps", type=count, default=steps, help="environment steps to learn from")
    options.add_argument("--seed", type=seed, default=0)
    options.add_argument("--picture", type=Path, help="draw what became of each held-out architecture")
    return options


def report(task: Task, before: float, after: float, steps: int) -> None:
    """The line that an example ends with."""
    print(
        f"capture of held-out architectures: {before:.3f} before learning, {after:.3f} after {steps} steps; "
        f"uniform choices {task.random_capture:.3f}, the best possible 1"
    )
