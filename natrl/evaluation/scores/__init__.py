"""Scores that have names: what they measure on labels, and the loss that goes with each.

Also the same of a network on a data set, as a function of the network.
"""

from natrl.evaluation.scores.measured import MeasuredScore
from natrl.evaluation.scores.named import NamedScore, SCORES

__all__ = ["SCORES", "MeasuredScore", "NamedScore"]
