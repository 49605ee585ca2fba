"""Operations as torch modules, plain networks, and the supernet."""

from natrl.networks.extract import extract_network
from natrl.networks.network import build_network, Network
from natrl.networks.supernet import Supernet
from natrl.networks.weights_training import FAIR, PAPER, SupernetTrainer, WeightSettings

__all__ = [
    "FAIR",
    "Network",
    "PAPER",
    "Supernet",
    "SupernetTrainer",
    "WeightSettings",
    "build_network",
    "extract_network",
]
