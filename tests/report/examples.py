"""Made-up results and architectures that several tests of the report use."""

from __future__ import annotations

import numpy as np
import pandas as pd

from natrl import Architecture, parse, Skeleton, zoo
from natrl.core.architecture import Cell
from natrl.core.operations import PRIMITIVES
from natrl.report.results import Correlation, Results, Trained
from natrl.report.scores import CandidateScores, COLUMNS
from natrl.spaces import network_cost

SKELETON = Skeleton(channels=8, cells=3, image_size=8, image_channels=1)
NASBENCH = parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|")


def dense_cell() -> Cell:
    """60 slots between 11 nodes: every pair once, five pairs twice."""
    pairs = [(s, t) for t in range(1, 11) for s in range(t)] + [(0, 1), (3, 7), (9, 10), (0, 10), (2, 5)]
    return Cell("dense", 1, tuple(sorted(pairs, key=lambda pair: pair[1])), (10,))


def sparse_cell() -> Cell:
    """60 slots, two at each of 30 nodes, from random earlier nodes."""
    rng = np.random.default_rng(0)
    edges = tuple((int(s), node) for node in range(2, 32) for s in sorted(rng.choice(node, 2, replace=False)))
    read = {source for source, _ in edges}
    return Cell("sparse", 2, edges, tuple(node for node in range(2, 32) if node not in read))


def random_operations(cell: Cell, seed: int = 0) -> Architecture:
    operations = np.random.default_rng(seed).choice(PRIMITIVES, len(cell.edges))
    return Architecture((cell,), tuple(map(str, operations))).validate()


def changed(architecture: Architecture, changes: dict[int, str]) -> Architecture:
    operations = list(architecture.operations)
    for slot, name in changes.items():
        operations[slot] = name
    return architecture.with_operations(operations)


def small_results(*, name: str = "VGG", data: str = "digits", correlation: bool = True) -> Results:
    """Two architectures, two seeds, accuracies that are easy to average by hand."""
    vgg, darts = zoo()["VGG"], zoo()["DARTS"]
    rows = [
        (name, "original", vgg, (0.80, 0.84)),
        (name, "transformed", changed(vgg, {3: "sep_conv_3x3"}), (0.85, 0.85)),
        (name, "random", changed(vgg, {5: "sep_conv_3x3"}), (0.76, 0.80)),
        ("DARTS", "original", darts, (0.90, 0.90)),
        ("DARTS", "transformed", changed(darts, {0: "skip_connect", 9: "avg_pool_3x3"}), (0.92, 0.90)),
        ("DARTS", "random", changed(darts, {2: "skip_connect"}), (0.89, 0.91)),
    ]
    return Results(
        data=data,
        skeleton=SKELETON,
        seeds=(0, 1),
        rows=tuple(
            Trained.measured(n, v, a, SKELETON, validation=(0.5, 0.6), test=accuracies)  # type: ignore[arg-type]
            for n, v, a, accuracies in rows
        ),
        schedule={"epochs": 30, "optimizer": "sgd"},
        correlation=Correlation.of([(0.1, 0.5, 3e5), (0.2, 0.7, 2e5), (0.3, 0.6, 1e5)]) if correlation else None,
        command="natrl demo --seed 0",
        versions={"natrl": "0.1.0", "git": "abc1234"},
        seconds={"supernet": 61.2, "policy": 7.0},
    )


def tiny_results() -> Results:
    """One small architecture, which is quick to draw."""
    versions = {"original": NASBENCH, "transformed": changed(NASBENCH, {0: "null"}), "random": NASBENCH}
    rows = (Trained.measured("tiny", v, a, SKELETON, validation=(0.5,)) for v, a in versions.items())  # type: ignore[arg-type]
    return Results(data="digits", skeleton=SKELETON, seeds=(0,), rows=tuple(rows))


def progress(n: int = 40, *, null: float = 0.1) -> pd.DataFrame:
    """Columns of Tune's progress.csv that the report reads."""
    iteration = np.arange(1, n + 1)
    return pd.DataFrame(
        {
            "training_iteration": iteration,
            "time_total_s": 1.5 * iteration,
            "reward_mean": np.sin(iteration),
            "entropy": 30.0 / iteration,
            "accuracy_mean": 0.8 + 0.001 * iteration,
            "accuracy_initial_mean": 0.8,
            "cost_ratio": 0.8,
            "share_null": null * iteration / n,
            "share_skip": 0.2,
            "evaluations": 16 * iteration,
            "trial_id": "a1b2",
        }
    )


def small_candidates() -> CandidateScores:
    """Two originals, two candidates of each method; gains that are easy to average by hand.

    Best: policy +0.10 and +0.00 (the original stays), random +0.06 and +0.02. First: policy +0.02 and −0.10.
    """
    scores = {
        "a": {"original": [0.50], "policy": [0.52, 0.60], "random": [0.56, 0.40]},
        "b": {"original": [0.70], "policy": [0.60, 0.65], "random": [0.60, 0.72]},
    }
    rows = []
    for name, methods in scores.items():
        for method, values in methods.items():
            for place, score in enumerate(values):
                operation = {"original": "conv_3x3", "policy": "skip_connect", "random": "null"}[method]
                architecture = changed(NASBENCH, {place: operation})
                cost = network_cost(architecture, SKELETON)
                rows.append((name, method, place, architecture.key, cost.params, cost.madds, score))
    return CandidateScores("table t", "accuracy", SKELETON, pd.DataFrame(rows, columns=list(COLUMNS)), iteration=7)
