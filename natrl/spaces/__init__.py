"""Spaces: which architectures exist, what they cost, and how they look as arrays. No torch, no Ray."""

from natrl.spaces.actions import Applied, apply_actions, Transition, transition
from natrl.spaces.base import Space
from natrl.spaces.batch import Batch
from natrl.spaces.cells import CellSpace
from natrl.spaces.chains import ChainSpace, Layer
from natrl.spaces.counting import live_cost, network_cost
from natrl.spaces.encoding import encode, FEATURES, wiring_of
from natrl.spaces.registry import register_space, space, SPACES
from natrl.spaces.skeleton import Skeleton

__all__ = [
    "SPACES",
    "Applied",
    "Batch",
    "CellSpace",
    "ChainSpace",
    "FEATURES",
    "Layer",
    "Skeleton",
    "Space",
    "Transition",
    "apply_actions",
    "encode",
    "live_cost",
    "network_cost",
    "register_space",
    "space",
    "transition",
    "wiring_of",
]
