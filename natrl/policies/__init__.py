"""Policies: from an architecture to a distribution over its transformations. torch, no Ray."""

from natrl.policies.bmsoftmax import BMSoftmax
from natrl.policies.candidates import Candidates, Change
from natrl.policies.network import PolicyConfig, PolicyNetwork
from natrl.policies.policy import load_policy, Policy

__all__ = ["BMSoftmax", "Candidates", "Change", "Policy", "PolicyConfig", "PolicyNetwork", "load_policy"]
