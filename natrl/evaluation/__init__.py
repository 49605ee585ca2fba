"""Evaluators: architectures in, validation scores out. Importing this package loads neither torch nor Ray."""

from natrl.evaluation.base import check_evaluator, check_scores, EvaluationError, Evaluator, FailedEvaluations
from natrl.evaluation.cache import CachedEvaluator
from natrl.evaluation.table import load_table, TableEvaluator

__all__ = [
    "CachedEvaluator",
    "EvaluationError",
    "Evaluator",
    "FailedEvaluations",
    "TableEvaluator",
    "check_evaluator",
    "check_scores",
    "load_table",
]
