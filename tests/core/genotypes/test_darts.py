"""One architecture in every spelling of a genotype; what has two readings is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natrl.core.genotypes import parse, zoo
from natrl.spaces import space

DARTS = zoo()["DARTS"]
NORMAL = [
    [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)],
    [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)],
    [("sep_conv_3x3", 1), ("skip_connect", 0)],
    [("skip_connect", 0), ("dil_conv_3x3", 2)],
]
REDUCE = [
    [("max_pool_3x3", 0), ("max_pool_3x3", 1)],
    [("skip_connect", 2), ("max_pool_3x3", 1)],
    [("max_pool_3x3", 0), ("skip_connect", 2)],
    [("skip_connect", 2), ("max_pool_3x3", 1)],
]


def genotype(normal: Any, reduce: Any = None, concat: Any = range(2, 6)) -> str:
    reduce = normal if reduce is None else reduce
    return f"Genotype(normal={normal!r}, normal_concat={concat!r}, reduce={reduce!r}, reduce_concat={concat!r})"


def cells(write: Any) -> str:
    """DARTS with every slot written by write(operation, from, to)."""
    return genotype(
        *([write(op, s, 2 + i) for i, node in enumerate(cell) for op, s in node] for cell in (NORMAL, REDUCE))
    )


FLAT = cells(lambda op, s, t: (op, s))
SPELLINGS = {
    "pairs": FLAT,
    "pairs nested by node": genotype(NORMAL, REDUCE),
    "nested tuples": genotype(tuple(map(tuple, NORMAL)), tuple(map(tuple, REDUCE)), (2, 3, 4, 5)),
    "nested with weights": genotype(*([[(*slot, 0.5) for slot in node] for node in cell] for cell in (NORMAL, REDUCE))),
    "from, to": cells(lambda op, s, t: (op, s, t)),
    "to, from": cells(lambda op, s, t: (op, t, s)),
    "the operation last": cells(lambda op, s, t: (s, t, op)),
    "a pair with its operation last": cells(lambda op, s, t: (s, op)),
    "weights": cells(lambda op, s, t: (op, s, 0.125)),
    "from, to, weight": cells(lambda op, s, t: [op, s, t, 0.125]),
    "numpy 2": cells(lambda op, s, t: (np.str_(op), np.int64(s))),
    "numpy arrays": FLAT.replace("range(2, 6)", "array([2, 3, 4, 5], dtype=int64)"),
    "numpy.intp": FLAT.replace(" 0)", " numpy.intp(0))"),
    "list(range)": FLAT.replace("range(2, 6)", "list(range(2, 6))"),
    "a name": f"DARTS_V2 = {FLAT}",
    "an annotated name": f"DARTS_V2: Genotype = {FLAT}",
    "qualified": "genotypes." + FLAT,
    "qualified twice": "x = lib.genotypes." + FLAT,
    "quoted": repr(FLAT),
    "printed": f"print({FLAT})",
    "a log line": f"2019-09-01 12:01:02,123 genotype = {FLAT}",
    "a log line with brackets": f"[09/01 12:01:02 PM] (epoch 3) INFO genotype: {FLAT} (best)",
    "a log line that Python reads, too": f"genotype: {FLAT}",
    "the same twice in a log": f"01:02 genotype = {FLAT}\n01:03 genotype = {FLAT}\n",
    "a dictionary": str(
        {"normal": NORMAL, "normal_concat": [2, 3, 4, 5], "reduce": REDUCE, "reduce_concat": [2, 3, 4, 5]}
    ),
    "JSON": json.dumps(
        {
            "normal": NORMAL,
            "normal_concat": [2, 3, 4, 5],
            "reduce": REDUCE,
            "reduce_concat": [2, 3, 4, 5],
            "connects": None,
        }
    ),
    "fields that hold nothing": FLAT[:-1] + ", connectN=None, normal_bottleneck='')",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_the_same_architecture(spelling: str) -> None:
    assert parse(SPELLINGS[spelling]) == DARTS


@given(st.integers(0, 2**32 - 1), st.sampled_from(["darts", "enas"]), st.booleans(), st.booleans())
def test_spellings_of_random_architectures(seed: int, name: str, backwards: bool, last: bool) -> None:
    architecture = space(name).sample(np.random.default_rng(seed))
    start, fields = 0, []
    for cell in architecture.cells:
        ops = architecture.operations[start : start + len(cell.edges)]
        start += len(cell.edges)
        triples = [(op, *(e[::-1] if backwards else e)) for op, e in zip(ops, cell.edges, strict=True)]
        slots = [(*t[1:], t[0]) if last else t for t in triples]
        fields += [f"{cell.name}={slots}", f"{cell.name}_concat={cell.outputs}"]
    assert parse(f"Genotype({', '.join(fields)})") == architecture


def test_nodes_may_have_any_number_of_slots() -> None:
    nested = [[("conv_3x3", 0)], [("conv_1x1", 0), ("skip_connect", 1), ("none", 2)]]
    assert parse(genotype(nested, concat=[3])).key.startswith(
        "normal: conv_3x3:0>2 conv_1x1:0>3 skip_connect:1>3 null:2>3 | concat 3 ;"
    )


EMPTY = {
    "a list of nothing": [[("conv_3x3", 0)], [], [("conv_1x1", 1), ("skip_connect", 3)], [("skip_connect", 4)]],
    "an output node": [("conv_3x3", 0, 2), ("conv_1x1", 1, 4), ("skip_connect", 3, 4), ("skip_connect", 4, 5)],
    "with what it fed": [[("conv_3x3", 0)], [("skip_connect", 4)], [("conv_1x1", 1)], [("skip_connect", 4)]],
}


@pytest.mark.parametrize("case", ["a list of nothing", "an output node"])
def test_empty_nodes_are_left_out(case: str) -> None:
    cell = "conv_3x3:0>2 conv_1x1:1>3 skip_connect:3>4 | concat 2 3 4"
    assert parse(genotype(EMPTY[case])).key == f"normal: {cell} ; reduce: {cell}"


AMBIGUOUS = {
    "every edge of 4 nodes, or two of 7": (
        genotype([("conv_3x3", s) for n in range(2, 6) for s in range(n)]),
        "cell 'normal': 14 pairs are two for each of 7 nodes, or every edge of 4: ambiguous",
    ),
    "both orders": (
        genotype([("conv_3x3", 0, 2), ("conv_3x3", 3, 1)], concat=[2, 3]),
        "cell 'normal': slots come in two orders",
    ),
    "pairs and triples": (genotype([("conv_3x3", 0), ("conv_3x3", 0, 2)]), r"slot 1: .* is not \(operation, from"),
    "some weights": (genotype([("conv_3x3", 0, 0.5), ("conv_3x3", 1)], concat=[2]), "slot 1: .* like the others"),
    "a weight that may be a node": (
        genotype([("conv_3x3", 0, 1), ("conv_3x3", 1, 1)], concat=[2]),
        "a slot leads|node 1 is an input",
    ),
    "two operations": (genotype([("conv_3x3", "conv_1x1", 0)]), "slot 0: .* is not"),
    "an empty node that nothing names": (
        genotype([("conv_3x3", 0, 2), ("conv_3x3", 0, 4)], concat=[2, 4]),
        "no slot writes node 3",
    ),
    "an empty node that is only read": (
        genotype([("conv_3x3", 0, 2), ("conv_3x3", 3, 4)], concat=[2, 4]),
        "nothing writes node 3",
    ),
    "the wrong node's list": (genotype([[("conv_3x3", 0, 3)]], concat=[2]), "lead to the node of their list"),
    "true": (genotype([("conv_3x3", True), ("conv_3x3", 0)], concat=[2]), "slot 0: .* is not"),
    "two that differ": (f"a = {FLAT}\nb = {FLAT.replace('dil', 'sep')}", "the text holds 2 architectures: a, b$"),
    "a log with several": (
        f"1 genotype = {FLAT}\n2 genotype = {FLAT.replace('dil', 'sep')}",
        r"the text holds 2 architectures: 1 \(genotype\), 2 \(genotype\)$",
    ),
    "fields of another meaning": (FLAT[:-1] + ", normal_bottleneck='SE')", "got .*, normal_bottleneck$"),
    "a variable": (FLAT.replace("range(2, 6)", "CONCAT"), "normal_concat is not a plain list"),
    "arithmetic": (FLAT.replace("range(2, 6)", "range(2, 2 + 4)"), "normal_concat is not a plain list"),
    "no keywords": ("Genotype([('conv_3x3', 0)], [2], [('conv_3x3', 0)], [2])", "expected Genotype"),
    "an unknown operation": (FLAT.replace("sep_conv_3x3", "conv_9x9"), "slot 0 .* unknown operation 'conv_9x9'"),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_what_has_two_readings_or_none_is_refused(case: str) -> None:
    text, reason = AMBIGUOUS[case]
    with pytest.raises(ValueError, match=reason) as error:
        parse(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700


def test_fourteen_pairs_with_outputs_of_seven_nodes_are_two_a_node() -> None:
    pairs = [("conv_3x3", s) for n in range(2, 6) for s in range(n)]
    assert max(parse(genotype(pairs, concat=range(2, 9))).cells[0].outputs) == 8
