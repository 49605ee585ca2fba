"""Search without learning: each architecture by itself, by propose and feedback. No torch, no Ray."""

from natrl.search.evolution import Evolution
from natrl.search.local import LocalSearch
from natrl.search.loop import search, SearchResult
from natrl.search.method import Identity, Search, SEARCHES
from natrl.search.random import Random, RandomSearch
from natrl.search.reachable import Reachable

__all__ = [
    "SEARCHES",
    "Evolution",
    "Identity",
    "LocalSearch",
    "Random",
    "RandomSearch",
    "Reachable",
    "Search",
    "SearchResult",
    "search",
]
