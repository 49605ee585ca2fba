"""Predicted scores: a model of scores over another evaluator."""
