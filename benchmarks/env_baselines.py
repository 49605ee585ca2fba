"""What random choices, PPO and an oracle earn on the held-out starts of the tasks of natrl.envs (docs/environment.md).

Mean returns, in points of validation accuracy: of choices drawn evenly within the mask, in ten episodes from each
start; of the PPO of examples/cleanrl_ppo.py, which sees all of an observation here, after --steps environment steps of
learning on the task's training starts, its most probable actions; and the best that there is. Of NAS-Bench-201's tasks
the starts are all held out architectures, and the best is exact; of those of NAS-Bench-301 they are 400 samples, and
the best is what steepest ascent finds (within a budget, that or what PPO did).

    python benchmarks/env_baselines.py --model nasbench301_yahpo.onnx
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core

import gymnasium
import numpy as np
import torch
from _options import number, Parser, run
from _predicted import best_found
from _rows import print_row

from natrl.bench.climbing import climb
from natrl.checks.fields import Count, Seed
from natrl.core.operations import VOCABULARY
from natrl.envs.tasks import NamedTask, TASKS
from natrl.spaces import Batch

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
from cleanrl_ppo import Agent, ENVS, LEARNING_RATE, REWARD_SCALE, update

EPISODES, STARTS = 10, 400


def inputs_of(observation: dict[str, np.ndarray], slots: int) -> torch.Tensor:
    """float (N, n): what the slots hold, how they hang together, the slot to decide, the transforms to come."""
    n = len(observation["ops"])
    parts = [np.eye(len(VOCABULARY))[observation["ops"]].reshape(n, -1), observation["adjacency"].reshape(n, -1)]
    if "slot" in observation:
        parts.append(np.eye(slots)[observation["slot"]])
    if "left" in observation:
        parts.append(observation["left"][:, None] / 4)
    return torch.as_tensor(np.concatenate(parts, axis=1), dtype=torch.float32)


def masks_of(observation: dict[str, np.ndarray]) -> torch.Tensor:
    mask = torch.as_tensor(observation["action_mask"]).bool()
    return mask if mask.ndim == 3 else mask[:, None]


def make(env_id: str, num_envs: int, model: Path | None) -> gymnasium.vector.VectorEnv:
    given: dict[str, Any] = {"evaluator": f"nasbench301:{model}"} if "NASBench301" in env_id else {}
    return gymnasium.make_vec(env_id, num_envs=num_envs, vectorization_mode="vector_entry_point", **given)


def learn(envs: gymnasium.vector.VectorEnv, steps: int, seed: int) -> Agent:
    """PPO on whole episodes, each of as many steps as the others; returns are not discounted."""
    torch.manual_seed(seed)
    observation, _ = envs.reset(seed=seed)
    slots = envs.unwrapped.core.space.n_slots
    agent = Agent(inputs_of(observation, slots).shape[1], *masks_of(observation).shape[1:])
    optimizer = torch.optim.Adam(agent.parameters(), lr=LEARNING_RATE, eps=1e-5)
    done = 0
    while done < steps:
        optimizer.param_groups[0]["lr"] = (1 - 0.9 * done / steps) * LEARNING_RATE
        rows, rewards, ended = [], [], False
        while not ended:
            seen, masks = inputs_of(observation, slots), masks_of(observation)
            with torch.no_grad():
                policy = agent.policy(seen, masks)
                action = policy.sample()
            rows.append((seen, masks, action, policy.log_prob(action).sum(-1)))
            observation, reward, terminated, _, _ = envs.step(action.numpy().reshape(envs.action_space.shape))
            rewards.append(REWARD_SCALE * reward)
            ended = bool(terminated.all())
            done += ENVS
        to_come = np.cumsum(rewards[::-1], axis=0)[::-1].copy()
        batch = (torch.cat(column) for column in zip(*rows, strict=True))
        update(agent, optimizer, (*batch, torch.as_tensor(to_come, dtype=torch.float32).flatten()))
        observation, *_ = envs.step(envs.action_space.sample())  # ignored: new episodes
    return agent


def played(
    envs: gymnasium.vector.VectorEnv, starts: Batch, agent: Agent | None, rng: np.random.Generator
) -> tuple[float, Batch]:
    """Mean return of an episode from each start, and where they end: by the agent's argmax, or by random actions."""
    observation, info = envs.reset(options={"architecture": list(starts)})
    total, ended = np.zeros(len(starts)), False
    while not ended:
        mask = info["action_mask"]
        if agent is None:
            action = np.where(mask, rng.random(mask.shape), -1).argmax(-1)
        else:
            with torch.no_grad():
                policy = agent.policy(inputs_of(observation, envs.unwrapped.core.space.n_slots), masks_of(observation))
            action = policy.logits.argmax(-1).numpy().reshape(envs.action_space.shape)
        observation, reward, terminated, _, info = envs.step(action)
        total += reward
        ended = bool(terminated.all())
    return float(total.mean()), Batch.of(starts.space, list(info["architecture"]))


def optimum(envs: gymnasium.vector.VectorEnv, starts: Batch, learned: Batch) -> float:
    """The mean return of an oracle; where it is ascent's, within a budget from what was learned, too.

    Several transforms reach no more than one does.
    """
    core, space = envs.unwrapped.core, starts.space
    _, info = envs.reset(options={"architecture": list(starts)})
    masks, limits = starts.masks(core.rule, core.cost), info.get("max_madds", np.full(len(starts), np.inf))
    if not space.is_listed:
        if core.budget is not None:
            return float(np.mean(best_found(core.scores, starts, learned, limits) - info["score"]))
        return float(np.mean(core.scores(climb(starts, core.scores)) - info["score"]))
    everything = Batch.of(space, [a for a in space.architectures() if a.is_live])
    values, madds = core.scores(everything), everything.costs[:, 1]
    best = []
    for mask, limit in zip(masks, limits, strict=True):
        reached = mask[np.arange(space.n_slots), everything.choices].all(-1)
        best.append(values[reached & (madds <= limit)].max())
    return float(np.mean(best - info["score"]))


def baseline(task: NamedTask, steps: int, seed: int, model: Path | None) -> None:
    """Prints the row of a task."""
    training, held_out = task.ids()
    core = make(held_out, 1, model).unwrapped.core
    pool = core.space.is_listed
    starts = every_start(core) if pool else core.draw(np.random.default_rng(0), STARTS)
    envs, rng = make(held_out, len(starts), model), np.random.default_rng(seed)
    random = [played(envs, starts, None, rng)[0] for _ in range(EPISODES)]
    each = core.horizon * (core.space.n_slots if task.is_sequential else 1)  # steps of an episode
    learned, ends = played(envs, starts, learn(make(training, ENVS, model), steps * each, seed), rng)
    best = optimum(envs, starts, ends)
    print_row(
        "envs: baselines",
        task=task.name,
        starts=len(starts),
        random=100 * float(np.mean(random)),
        ppo=100 * learned,
        best=100 * best,
        ppo_capture=learned / best,
        steps=steps * each,
        seed=seed,
    )


def every_start(core: Any) -> Batch:
    """Of a space that is listed, each held out architecture once."""
    drawn = core.draw(np.random.default_rng(0), 100_000)
    return Batch.of(core.space, list(dict.fromkeys(drawn)))


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--tasks", default="", help="only those whose names contain this")
    parser.add_argument("--model", type=Path, help="nasbench301_yahpo.onnx; without it its tasks are left out")
    parser.add_argument("--steps", type=number(Count), default=30_000, help="transforms to learn from")
    parser.add_argument("--seed", type=number(Seed), default=0)
    options = parser.parse_args()
    chosen = [t for t in TASKS if options.tasks in t.name and (options.model or "NASBench301" not in t.name)]
    if not chosen:
        parser.error(f"no task's name contains {options.tasks!r}: {', '.join(task.name for task in TASKS)}")
    torch.set_num_threads(1)  # the networks are small
    for task in chosen:
        baseline(task, options.steps, options.seed, options.model)


if __name__ == "__main__":
    run(main)
