"""natrl.envs where neither Ray nor torch is installed: numpy and Gymnasium (and what they import) are enough."""

from __future__ import annotations

import csv
import subprocess
import sys
from itertools import product
from pathlib import Path

import natrl

#: Besides the standard library: natrl, the two, and what Gymnasium cannot be imported without.
ENOUGH = ("natrl", "numpy", "gymnasium", "annotated_doc", "cloudpickle", "typing_extensions", "farama_notifications")

PROGRAM = """
import sys

class OnlyEnough:
    '''Everything else is as if it were not installed; what is asked for is remembered.'''
    refused = set()

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in enough:
            return None
        self.refused.add(top)
        raise ModuleNotFoundError(f"No module named {top!r}", name=top)

table, start, *enough = sys.argv[1:]
sys.meta_path.insert(0, OnlyEnough())
import gymnasium
import numpy
OnlyEnough.refused.clear()  # optional packages of the two themselves

import natrl
import natrl.envs
import natrl.envs.wrappers

arguments = {"evaluator": f"table:{table}", "initial": [natrl.parse(start)]}
for name, vectorised in (
    ("natrl/ArchTransition-v0", False),
    ("natrl/ArchTransitionSequential-v0", False),
    ("natrl/ArchTransition-v0", True),
):
    if vectorised:
        env = gymnasium.make_vec(name, 8, vectorization_mode="vector_entry_point", **arguments)
    else:
        env = gymnasium.make(name, **arguments)
    env.reset(seed=0)
    env.action_space.seed(0)
    total = 0.0
    for _ in range(20):
        _, reward, ended, *_ = env.step(env.action_space.sample())
        total += numpy.abs(reward).sum()
        if ended is True:
            env.reset()
    assert total > 0, name
assert not OnlyEnough.refused, OnlyEnough.refused
"""


def test_table_environments_step_where_nothing_else_can_be_imported(tmp_path: Path) -> None:
    """In a process of its own, which takes half a second."""
    skip = "skip_connect"
    start = natrl.parse(f"|nor_conv_3x3~0|+|{skip}~0|{skip}~1|+|{skip}~0|{skip}~1|{skip}~2|")
    space = natrl.space("nasbench201")
    masks = space.masks(start)
    reachable = product(*([p for p, fine in zip(space.primitives, row, strict=True) if fine] for row in masks))
    with (tmp_path / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["arch", "accuracy"])
        rows.writerows([start.with_operations(ops).key, 0.5 + ops.count("null") / 20] for ops in reachable)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "table.csv"), start.key, *ENOUGH]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
