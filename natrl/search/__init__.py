"""Search without learning: each architecture by itself, by propose and feedback. No torch, no Ray."""

from natrl.search.evolution import Evolution
from natrl.search.local import LocalSearch
from natrl.search.loop import search, SearchResult
from natrl.search.method import Identity, register_search, Search, search_method, search_names
from natrl.search.random import Random, RandomSearch
from natrl.search.reachable import Reachable

__all__ = [
    "Evolution",
    "Identity",
    "LocalSearch",
    "Random",
    "RandomSearch",
    "Reachable",
    "Search",
    "SearchResult",
    "register_search",
    "search",
    "search_method",
    "search_names",
]
