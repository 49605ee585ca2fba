"""PPO on the NAS-Bench-201 table with the vector environment: episodes/s, and seconds to capture 0.92.

Seed s holds out fold s mod 5 of the architectures (natrl.bench.splits) and never trains on it. The reward is a
validation accuracy; what is captured is the test accuracy where NATRL_DATA holds nasbench201.csv.gz, else the package's
accuracies that the reward came from (the row says which). `ceiling` is the capture of reading every reward. Learning is
timed with RLlib's own overhead, without starting Ray; measuring is not.
"""

from __future__ import annotations

import os
import time
from itertools import product
from pathlib import Path

import numpy as np
from _options import number, Parser, run
from _rows import print_row

from natrl.bench.capture import best_reachable, capture
from natrl.bench.splits import split
from natrl.checks.fields import Seeds
from natrl.evaluation import load_table
from natrl.policies.network import PolicyConfig
from natrl.rllib.config import algorithm_config
from natrl.rllib.settings import LearnSettings
from natrl.spaces import space as find_space
from natrl.tuning.session import ray_session

TARGET = 0.92


def tables():  # type: ignore[no-untyped-def]
    """The table of rewards, the table of what is reported, and the latter's name."""
    folder = os.environ.get("NATRL_DATA")
    if folder:
        path = str(Path(folder) / "nasbench201.csv.gz")
        return load_table(path, "cifar10_val200"), load_table(path, "cifar10_test200"), "cifar10_test200"
    table = load_table("nasbench201:cifar10")
    return table, table, "validation (no test table at hand)"


def best_by_reward(space, rewards, everything, initial):  # type: ignore[no-untyped-def]
    """For each initial architecture the reachable one with the highest reward: what no chooser by reward can beat."""
    scores = dict(zip(everything, rewards.evaluate(everything).tolist(), strict=True))
    highest = best_reachable(space, scores)
    found = []
    for a in initial:
        rows = [np.array(space.primitives, dtype=object)[row] for row in space.masks(a)]
        choices = (a.with_operations(operations) for operations in product(*rows))
        found.append(next(c for c in choices if scores[c] == highest[a]))
    return found


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--seeds", type=number(Seeds), default=1)
    parser.add_argument("--head", default="autoregressive")
    arguments = parser.parse_args()
    space = find_space("nasbench201")
    rewards, reported, name = tables()
    everything = list(space.architectures())
    values = dict(zip(everything, reported.evaluate(everything).tolist(), strict=True))
    best = best_reachable(space, values)
    with ray_session():
        for seed in range(arguments.seeds):
            train, test = split(space, seed)
            ceiling = capture(test, best_by_reward(space, rewards, everything, test), values, best)
            settings = LearnSettings()
            environment = {"space": space.name, "evaluator": rewards, "initial": list(train)}
            policy = PolicyConfig(primitives=space.primitives, head=arguments.head)
            algorithm = algorithm_config(settings, policy, environment, seed=seed).build_algo()
            seconds, reached, captured = 0.0, None, 0.0
            for _ in range(settings.iterations):
                start = time.perf_counter()
                algorithm.train()
                seconds += time.perf_counter() - start
                if algorithm.iteration % 5 == 0 or algorithm.iteration == settings.iterations:
                    captured = capture(test, algorithm.policy().transform_batch(test), values, best)
                    if reached is None and captured >= TARGET:
                        reached = seconds
            print_row(
                "ppo on nasbench201",
                head=arguments.head,
                seed=seed,
                episodes_per_s=settings.iterations * settings.batch_size / seconds,
                seconds_to_capture_092=reached,
                seconds=seconds,
                capture=captured,
                ceiling=ceiling,
                reported=name,
                distinct_queries=algorithm.evaluator.seen,
                held_out=len(test),
                mean_gain=float(np.mean([best[a] - values[a] for a in test])),
            )
            algorithm.stop()


if __name__ == "__main__":
    run(main)
