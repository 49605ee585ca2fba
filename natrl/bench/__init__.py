"""The benchmark: every method at the same budget of evaluated architectures, judged by accuracies it has not seen."""

from natrl.bench.methods import BenchMethod, METHODS, Outcome, Problem, Snapshot
from natrl.bench.protocol import Bench, Job, Plan
from natrl.bench.rows import Point, Row
from natrl.bench.splits import fold_of, FOLDS, Split, split

__all__ = [
    "Bench",
    "BenchMethod",
    "FOLDS",
    "Job",
    "METHODS",
    "Outcome",
    "Plan",
    "Point",
    "Row",
    "Snapshot",
    "Split",
    "Problem",
    "fold_of",
    "split",
]
