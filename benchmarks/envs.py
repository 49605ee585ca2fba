"""Steps/s of the environments, and with --difficulty how hard the NAS-Bench-201 task is.

Speed: random actions within the mask, drawn outside the clock; the first quarter burns in (memories fill). Rates of
`step` alone, resets by autoreset included for the vector environment: with a horizon of 1 every second of its steps is
one. The clock is the thread's CPU time (one core), so that waiting for a busy machine does not count; median and best
of 9 repetitions.

Difficulty: counted and looked up over all architectures of the space, except for the random return (256,000 episodes).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import get_args

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core

import numpy as np
from _options import number, Parser, run
from _rows import print_row

from natrl.bench.capture import best_reachable
from natrl.checks.fields import Count
from natrl.core.transitions import Rule
from natrl.envs import ArchTransitionEnv, ArchTransitionSequentialEnv, ArchTransitionVectorEnv
from natrl.evaluation import Evaluator, load_table
from natrl.spaces import space as find_space

REPETITIONS = 9


class Counts(Evaluator):
    """An evaluator that costs nothing, for spaces without a table: the share of slots that hold null."""

    def evaluate(self, architectures):  # type: ignore[no-untyped-def]
        return np.array([a.operations.count("null") / len(a.operations) for a in architectures])


def random_action(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(mask, rng.random(mask.shape), -1).argmax(-1)


def seconds_of(steps: int, env, info: dict, rng: np.random.Generator) -> tuple[float, dict]:  # type: ignore[no-untyped-def]
    """CPU time in `step` over so many calls, and the info after them."""
    total = 0.0
    for _ in range(steps):
        action = random_action(info["action_mask"], rng)
        start = time.thread_time()
        *_, ended, _, info = env.step(action)
        total += time.thread_time() - start
        if ended is True:
            _, info = env.reset()
    return total, info


def measure(env, steps: int) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Seconds of one call of `step`, (REPETITIONS,), after burning in for a third as long."""
    rng = np.random.default_rng(0)
    _, info = env.reset(seed=0)
    _, info = seconds_of(steps * REPETITIONS // 3, env, info, rng)
    times = []
    for _ in range(REPETITIONS):
        seconds, info = seconds_of(steps, env, info, rng)
        times.append(seconds / steps)
    env.close()
    return np.array(times)


def speed(steps: int) -> None:
    table = load_table("nasbench201")
    for space, evaluator, shrink in (("nasbench201", lambda: table, 1), ("darts", Counts, 10)):
        for num_envs in (256, 1024):
            for horizon in (1, 8):
                env = ArchTransitionVectorEnv(num_envs, space=space, evaluator=evaluator(), horizon=horizon)
                times = measure(env, min(steps, max(16, steps // 100 // shrink)))
                print_row(
                    "envs: vector",
                    space=space,
                    num_envs=num_envs,
                    horizon=horizon,
                    steps_per_s=num_envs / float(np.median(times)),
                    best_steps_per_s=num_envs / float(times.min()),
                )
        scalar: Callable
        for scalar in (ArchTransitionEnv, ArchTransitionSequentialEnv):
            times = measure(scalar(space=space, evaluator=evaluator()), max(1, steps // shrink))
            print_row(
                f"envs: {scalar.__name__}",
                space=space,
                microseconds_a_step=1e6 * float(np.median(times)),
                best_microseconds_a_step=1e6 * float(times.min()),
            )


def reachable_live(space, live: np.ndarray, rule: Rule) -> np.ndarray:  # type: ignore[no-untyped-def]
    """int (K^E,): how many live architectures one transform reaches from each, itself included.

    Slot by slot, as `best_reachable` takes the maximum: a mask allows each slot's primitives independently.
    """
    k, slots = len(space.primitives), space.n_slots
    first = next(space.architectures())
    masks = space.batch_masks([first.with_operations((p,) * slots) for p in space.primitives], rule)  # (K, E, K)
    counts = live.reshape((k,) * slots).astype(np.int64)
    for slot in range(slots):
        counts = np.moveaxis(np.tensordot(masks[:, slot].astype(np.int64), counts, axes=(1, slot)), 0, slot)
    return counts.ravel()


def difficulty() -> None:
    space, table = find_space("nasbench201"), load_table("nasbench201")
    everything = list(space.architectures())
    live = np.array([a.is_live for a in everything])
    values = table.evaluate(everything)
    accuracies = dict(zip(everything, values.tolist(), strict=True))
    for rule in get_args(Rule):
        best = best_reachable(space, accuracies, rule)
        gain = np.array([best[a] for a in everything])[live] - values[live]
        reach = reachable_live(space, live, rule)[live]
        env = ArchTransitionVectorEnv(1024, evaluator=table, rule=rule)
        rng, rewards = np.random.default_rng(0), []
        _, info = env.reset(seed=0)
        for _ in range(500):
            _, reward, ended, _, info = env.step(random_action(info["action_mask"], rng))
            if ended.all():
                rewards.append(reward)
        random = np.concatenate(rewards)
        print_row(
            "envs: difficulty of nasbench201",
            rule=rule,
            states=len(everything),
            live_states=int(live.sum()),
            joint_actions=len(space.primitives) ** space.n_slots,
            **{f"reachable_{name}": float(v) for name, v in zip(QUANTILES, np.quantile(reach, LEVELS), strict=True)},
            reachable_mean=float(reach.mean()),
            random_return=float(random.mean()),
            **{f"random_{name}": float(v) for name, v in zip(QUANTILES, np.quantile(random, LEVELS), strict=True)},
            random_above_0=float((random > 0).mean()),
            optimal_return=float(gain.mean()),
            **{f"optimal_{name}": float(v) for name, v in zip(QUANTILES, np.quantile(gain, LEVELS), strict=True)},
            nothing_to_gain=float((gain == 0).mean()),
            random_capture=float(random.mean() / gain.mean()),
        )


QUANTILES, LEVELS = ("least", "quarter", "median", "three_quarters", "most"), (0, 0.25, 0.5, 0.75, 1)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--difficulty", action="store_true")
    parser.add_argument("--steps", type=number(Count), default=4000, help="of each repetition of a scalar environment")
    arguments = parser.parse_args()
    difficulty() if arguments.difficulty else speed(arguments.steps)


if __name__ == "__main__":
    run(main)
