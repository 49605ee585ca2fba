"""A folder with one of everything that natrl reads, sound and small."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

import natrl
from natrl.evaluation.ledger.file import Ledger, Paid, settings_text
from natrl.policies import Policy
from natrl.policies.network import PolicyConfig, PolicyNetwork
from natrl.runs.directory import create_run, ledger_file, results_file
from natrl.tuning.documents import complete

__all__ = ["ARCH", "example_documents", "make_workplace"]

ARCH = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|"
SETTINGS = {
    "evaluator": {"reward": "table:nasbench201", "space": "nasbench201"},
    "learn": {"iterations": 2, "batch_size": 16, "minibatch_size": 16},
}
SWEEP = {"settings": SETTINGS, "parameters": {"learn.learning_rate": {"loguniform": [1e-4, 1e-2]}}, "trials": 2}
MODULE = """
import sys
import torch
from torch import nn

def network():
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)
    return nn.Sequential(*layers)

def nothing(): return None
def number(): return 3
def raises(): raise RuntimeError("two\\nlines")
def asserts(): assert False
def leaves(): sys.exit(3)
def closes(): raise GeneratorExit
def deep(): return deep()
def needs(argument): return argument
def words(): return "images", "labels"
def unequal(): return torch.zeros(4, 1, 8, 8), torch.zeros(3)
value = 3
"""


def example_documents() -> dict[str, Any]:
    """The JSON files of a workplace, read: file → document."""
    with tempfile.TemporaryDirectory() as folder:
        make_workplace(Path(folder))
        names = ("arch.json", "config.json", "sweep.json", "run/config.json", "run/policy/policy.json")
        return {name: json.loads(Path(folder, name).read_text()) for name in names}


def make_workplace(folder: Path) -> Path:
    """The folder itself, filled: a run, a policy, settings, a sweep's file, a table, images, weights, a module."""
    space = natrl.space("nasbench201")
    policy = Policy(PolicyNetwork(PolicyConfig(primitives=space.primitives)), space)
    run = folder / "run"
    create_run(run, complete(SETTINGS), "natrl train")
    policy.save(run / "policy")
    results_file(run).parent.mkdir(parents=True)
    results_file(run).write_text(
        "".join(json.dumps({"training_iteration": i, "reward_mean": 0.1}) + "\n" for i in (1, 2))
    )
    _fill_ledger(run)
    (folder / "config.json").write_text(json.dumps(SETTINGS))
    (folder / "sweep.json").write_text(json.dumps(SWEEP))
    (folder / "arch.json").write_text(natrl.parse("DARTS").to_json())
    (folder / "genotype.txt").write_text(natrl.core.genotypes.to_darts(natrl.parse("DARTS")))
    rows = [f"{a.key},0.5,0.4" for a in list(space.architectures())[:50]]
    (folder / "table.csv").write_text("\n".join(["arch,valid,test", *rows]))
    for label in "ab":
        for number in range(12):
            path = folder / "images" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), number * 9, np.uint8)).save(path)
    (folder / "usercode.py").write_text(MODULE)
    os.mkfifo(folder / "fifo")
    torch.save(nn.Linear(3, 3).state_dict(), folder / "weights.pt")
    return folder


def _fill_ledger(run: Path) -> None:
    ledger = Ledger(ledger_file(run))
    paid = [Paid(a.key, 0.5, 0.1) for a in list(natrl.space("nasbench201").architectures())[:3]]
    ledger.put(settings_text({"kind": "table", "data": "nasbench201:cifar10", "metric": "accuracy"}), paid)
    ledger.close()
