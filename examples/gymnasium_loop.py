"""A plain Gymnasium loop, no learning library: values of architectures fitted by least squares, actions greedy on them.

A reward is score(α) − score(β). So with features φ of what slots hold, one by one, two by two and three by three, the
weights θ of reward ≈ θ · (φ(α) − φ(β)) value every architecture, and the best action is a maximum over what the mask
allows. The policy explores with `action_space.sample(mask)`, ever less.

    python examples/gymnasium_loop.py
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from _task import load_task, parser, report

from natrl.core.operations import VOCABULARY
from natrl.envs.wrappers import MaskForSampling

REFIT = 1000  # steps


class Values:
    """Values of architectures of E slots and K primitives, linear in what each one, two and three slots hold."""

    def __init__(self, slots: int, primitives: tuple[str, ...]) -> None:
        k = len(primitives)
        self._primitive = np.array([primitives.index(op) if op in primitives else -1 for op in VOCABULARY])
        self._groups = [np.array(group) for n in (1, 2, 3) for group in combinations(range(slots), n)]
        self._starts = np.cumsum([0] + [k ** len(group) for group in self._groups])  # of each group's features
        self._everything = np.indices((k,) * slots).reshape(slots, -1).T  # (K^E, E)
        self._k, size = k, int(self._starts[-1])
        self._gram, self._moment = np.eye(size), np.zeros(size)  # of ridge regression
        self.values = np.zeros((k,) * slots)

    def _active(self, choices: np.ndarray) -> np.ndarray:
        """int (N, groups): the indices of the features that are 1, one of each group; the others are 0."""
        places = [choices[:, group] @ self._k ** np.arange(len(group)) for group in self._groups]
        return np.stack(places, axis=1) + self._starts[:-1]

    def add(self, before: np.ndarray, after: np.ndarray, rewards: np.ndarray) -> None:
        """Transitions from `before` to `after`, vocabulary indices int (N, E), and what they earned, (N,)."""
        difference = np.zeros((len(rewards), len(self._moment)))
        rows = np.arange(len(rewards))[:, None]
        difference[rows, self._active(self._primitive[after])] += 1
        difference[rows, self._active(self._primitive[before])] -= 1
        self._gram += difference.T @ difference
        self._moment += difference.T @ rewards
        weights = np.linalg.solve(self._gram, self._moment)
        self.values = weights[self._active(self._everything)].sum(-1).reshape(self.values.shape)

    def best(self, mask: np.ndarray) -> np.ndarray:
        """int (E,): the choices within the mask, bool (E, K), whose architecture is valued most."""
        allowed = [np.flatnonzero(row) for row in mask]
        box = self.values[np.ix_(*allowed)]
        return np.array([row[i] for row, i in zip(allowed, np.unravel_index(box.argmax(), box.shape), strict=True)])


def main(argv: Sequence[str] | None = None) -> tuple[float, float]:
    arguments = parser(__doc__, steps=20_000).parse_args(argv)
    task, rng = load_task(), np.random.default_rng(arguments.seed)
    env = MaskForSampling(task.make())
    env.action_space.seed(arguments.seed)
    values = Values(env.unwrapped.core.space.n_slots, env.unwrapped.core.space.primitives)
    before = task.capture(lambda _, mask: values.best(mask))
    seen: list[tuple[np.ndarray, np.ndarray, float]] = []
    observation, info = env.reset(seed=arguments.seed)
    for step in range(arguments.steps):
        explore = rng.random() > step / arguments.steps
        action = env.action_space.sample(info["action_mask"]) if explore else values.best(observation["action_mask"])
        following, reward, terminated, truncated, info = env.step(action)
        seen.append((observation["ops"], following["ops"], float(reward)))
        if len(seen) == REFIT or step == arguments.steps - 1:
            values.add(*map(np.array, zip(*seen, strict=True)))
            seen = []
        observation = following
        if terminated or truncated:
            observation, info = env.reset()
    after = task.capture(lambda _, mask: values.best(mask))
    report(task, before, after, arguments.steps)
    if arguments.picture:
        task.draw(
            arguments.picture,
            f"Gymnasium and NumPy, {arguments.steps:,} steps: capture {after:.3f}",
            lambda _, mask: values.best(mask),
        )
    return before, after


if __name__ == "__main__":
    main()
