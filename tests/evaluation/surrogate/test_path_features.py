"""Path counts against paths listed by hand and by networkx."""

from __future__ import annotations

import networkx
import numpy as np
import pytest

import natrl
from natrl.core.architecture import Architecture, Cell
from natrl.core.isomorphism import function_key
from natrl.evaluation.surrogate.path_features import MAX_LENGTH, path_counts


def test_paths_of_a_small_cell_by_hand():
    # 0→1 conv, 0→2 skip, 1→2 pool, 0→3 null, 1→3 skip, 2→3 conv
    arch = natrl.parse("|nor_conv_3x3~0|+|skip_connect~0|avg_pool_3x3~1|+|none~0|skip_connect~1|nor_conv_1x1~2|")
    (name,) = {cell.name for cell in arch.cells}
    assert path_counts(arch) == {
        f"{name}:0>conv_3x3": 1,  # 0→1→3
        f"{name}:0>conv_1x1": 1,  # 0→2→3
        f"{name}:0>conv_3x3>avg_pool_3x3>conv_1x1": 1,  # 0→1→2→3
    }


def test_a_skip_doubles_and_a_dead_architecture_has_none():
    twice = natrl.parse("|skip_connect~0|+|none~0|none~1|+|skip_connect~0|skip_connect~1|none~2|")
    assert list(path_counts(twice).values()) == [2]
    dead = natrl.parse("|none~0|+|nor_conv_3x3~0|none~1|+|none~0|nor_conv_3x3~1|none~2|")
    assert path_counts(dead) == {}


@pytest.mark.parametrize("name", ["darts", "enas", "nao", "nasbench201"])
def test_as_many_paths_as_networkx_finds(name):
    rng = np.random.default_rng(0)
    for _ in range(5):
        arch = natrl.space(name).sample(rng)
        assert sum(path_counts(arch).values()) == sum(_paths(arch))


def _paths(arch):
    """Their number between each input and output, with nulls left out."""
    start = 0
    for cell in arch.cells:
        operations = arch.operations[start : start + len(cell.edges)]
        start += len(cell.edges)
        graph = networkx.MultiDiGraph()
        graph.add_nodes_from(range(cell.nodes))
        graph.add_edges_from(edge for edge, op in zip(cell.edges, operations, strict=True) if op != "null")
        for source in range(cell.inputs):
            for target in cell.outputs:
                yield sum(1 for _ in networkx.all_simple_edge_paths(graph, source, target)) + (source == target)


def test_equal_functions_have_equal_counts_and_others_mostly_not():
    seen: dict[str, str] = {}
    space = natrl.space("nasbench201")
    rng = np.random.default_rng(1)
    for _ in range(3000):
        arch = space.sample(rng)
        counts = repr(sorted(path_counts(arch).items()))
        assert seen.setdefault(function_key(arch), counts) == counts
    assert len(set(seen.values())) > 0.6 * len(seen)


def test_long_paths_count_by_their_end():
    """A chain of 12 slots: one path, of which eight operations are kept."""
    chain = Cell("chain", 1, tuple((i, i + 1) for i in range(12)), (12,))
    arch = Architecture((chain,), (*["conv_1x1"] * 6, *["conv_3x3"] * 6))
    (path,) = path_counts(arch)
    assert path == "chain:" + ">".join(["conv_1x1"] * (MAX_LENGTH - 6) + ["conv_3x3"] * 6)
