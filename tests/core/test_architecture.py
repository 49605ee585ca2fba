"""The value type: equality, keys, JSON, and what is refused with which reason."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from natrl.core.architecture import Architecture, Cell, make_cell, Slot
from natrl.core.genotypes import parse, zoo
from natrl.spaces import space

Triples = list[tuple[str, int, int]]
CONV: Triples = [("conv_3x3", 0, 2), ("null", 1, 2), ("skip_connect", 2, 3)]


def architecture(slots: Triples, outputs: tuple[int, ...] = (3,)) -> Architecture:
    """A normal cell of these slots beside a plain reduce cell, unchecked."""
    normal, ops = make_cell("normal", 2, slots, outputs)
    reduce, more = make_cell("reduce", 2, [("conv_1x1", 0, 2)], (2,), reduction=True)
    return Architecture((normal, reduce), ops + more)


def test_equal_values_are_equal_and_hash_alike() -> None:
    a, b = architecture(CONV), architecture(CONV)
    assert a == b
    assert len({a, b}) == 1
    assert a != a.with_operations(("conv_1x1", *a.operations[1:]))
    assert a != architecture(CONV, outputs=(2, 3))


def test_nothing_can_be_assigned() -> None:
    with pytest.raises(FrozenInstanceError):
        architecture(CONV).operations = ()  # type: ignore[misc]


@pytest.mark.parametrize("name", ["darts", "enas", "nao", "nasbench201"])
def test_pickles_hold_the_fields_only(name: str) -> None:
    before = space(name).sample(np.random.default_rng(0))
    fresh = pickle.dumps(before)
    assert all((before.key, before.slots, before.is_live))  # and with it the caches are filled
    assert pickle.dumps(before) == fresh
    after = pickle.loads(fresh)
    assert (after, hash(after), after.key) == (before, hash(before), before.key)


def test_slots_say_where_each_operation_stands() -> None:
    slots = zoo()["VGG"].slots
    assert len(slots) == 16
    assert slots[0] == Slot(cell="normal", source=0, target=2, stride=1)
    # In a reduction cell what reads an input has stride 2.
    assert [slot.stride for slot in slots[8:]] == [2, 2, 2, 1, 2, 1, 2, 1]


def test_the_key_does_not_depend_on_the_order_of_slots() -> None:
    shuffled = [CONV[2], CONV[1], CONV[0]]
    a, b = architecture(CONV), architecture(shuffled)
    assert a.operations != b.operations
    assert a.key == b.key == str(a)
    assert a.key == "normal: conv_3x3:0>2 null:1>2 skip_connect:2>3 | concat 3 ; reduce: conv_1x1:0>2 | concat 2"


def test_the_key_orders_parallel_slots_too() -> None:
    parallel: Triples = [("conv_3x3", 0, 2), ("avg_pool_3x3", 0, 2)]
    a, b = architecture(parallel, (2,)), architecture(parallel[::-1], (2,))
    assert a.key == b.key


def test_different_architectures_have_different_keys() -> None:
    some = [
        architecture(CONV),
        architecture(CONV, outputs=(2, 3)),
        architecture(CONV).with_operations(["null"] * 4),
        architecture([("conv_3x3", 1, 2), *CONV[1:]]),
        Architecture((Cell("normal", 1, ((0, 1),), (1,)),), ("null",)),
        Architecture((Cell("normal", 1, ((0, 1),), (1,), reduction=True),), ("null",)),
    ]
    assert len({a.key for a in some}) == len(some)
    assert all(parse(a.key) == a for a in some)


def test_liveness() -> None:
    vgg = zoo()["VGG"]
    assert vgg.is_live
    assert vgg.live_slots == tuple(op != "null" for op in vgg.operations)
    assert not vgg.with_operations(["null", "null", *vgg.operations[2:]]).is_live
    # conv 0>2 leads nowhere once 2>3 is null; 1>3 keeps the cell live.
    dangling = architecture([("conv_3x3", 0, 2), ("null", 2, 3), ("conv_1x1", 1, 3)])
    assert dangling.live_slots == (False, False, True, True)
    assert dangling.is_live


def test_with_operations_wants_one_name_a_slot() -> None:
    a = architecture(CONV)
    assert a.with_operations(list(a.operations)) == a
    with pytest.raises(ValueError, match="expected 4 operations, one a slot, got 3"):
        a.with_operations(a.operations[:3])


def test_changes_lists_the_slots_that_differ() -> None:
    vgg, nat_vgg = zoo()["VGG"], zoo()["NAT_VGG"]
    assert vgg.changes(nat_vgg) == (0, 6, 8, 14, 15)
    assert vgg.changes(vgg) == ()
    with pytest.raises(ValueError, match="different topologies"):
        vgg.changes(zoo()["DARTS"])


# Malformed architectures.

MALFORMED: dict[str, tuple[Triples, tuple[int, ...], str]] = {
    "unknown operation": (
        [("conv_3x3", 0, 2), ("conv_9x9", 1, 2)],
        (2,),
        r"^cell 'normal', slot 1 \(conv_9x9:1>2\): unknown operation 'conv_9x9'; known: ",
    ),
    "backwards": (
        [("conv_3x3", 0, 2), ("conv_3x3", 3, 2), ("null", 0, 3)],
        (2,),
        r"^cell 'normal', slot 1 \(conv_3x3:3>2\): a slot leads from a lower node \(at least 0\) to a higher one",
    ),
    "onto itself": ([("null", 2, 2)], (2,), r"slot 0 \(null:2>2\): a slot leads from a lower node"),
    "negative": ([("null", -1, 2)], (2,), r"slot 0 \(null:-1>2\): a slot leads from a lower node"),
    "into an input": (
        [("null", 0, 1), ("null", 0, 2)],
        (2,),
        r"slot 0 \(null:0>1\): node 1 is an input of the cell and cannot be written",
    ),
    "from nowhere": (
        [("null", 0, 2), ("null", 3, 4)],
        (2,),
        r"^cell 'normal', slot 1 \(null:3>4\): nothing writes node 3",
    ),
    "gap": ([("null", 0, 2), ("null", 0, 4)], (2,), r"^cell 'normal': .*without gaps, but no slot writes node 3"),
    "no output": ([("null", 0, 2)], (), r"^cell 'normal': needs at least one output node"),
    "output unwritten": ([("null", 0, 2)], (3,), r"^cell 'normal': output node 3 is written by no slot"),
    "output is input": ([("null", 0, 2)], (1,), r"^cell 'normal': output node 1 is written by no slot"),
    "outputs repeated": ([("null", 0, 2)], (2, 2), r"^cell 'normal': output nodes are repeated: \(2, 2\)"),
    "empty": ([], (2,), r"^cell 'normal': output node 2 is written by no slot"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_cells_are_refused_with_slot_and_reason(case: str) -> None:
    slots, outputs, reason = MALFORMED[case]
    with pytest.raises(ValueError, match=reason):
        architecture(slots, outputs).validate()


CELL = Cell("normal", 2, ((0, 2),), (2,))


@pytest.mark.parametrize(
    ("cells", "operations", "reason"),
    [
        ((), (), "needs at least one cell"),
        ((CELL, CELL), ("null", "null"), "cells need different names, got normal, normal"),
        ((CELL,), ("null", "null"), "1 slots but 2 operations"),
        ((Cell("normal", 0, ((0, 2),), (2,)),), ("null",), "cell 'normal': needs 1 to 8 inputs, got 0"),
        ((Cell("normal", 10**30, ((0, 2),), (2,)),), ("null",), "needs 1 to 8 inputs, got 1000"),
        ((Cell("a b", 2, ((0, 2),), (2,)),), ("null",), "cell 'a b': the name of a cell is a word"),
        (
            (Cell("normal", 2, ((0, 3), (0, 2)), (3,)),),
            ("null", "null"),
            r"slot 1 \(null:0>2\): slots must be sorted by target node",
        ),
    ],
)
def test_malformed_architectures_are_refused(cells: tuple[Cell, ...], operations: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Architecture(cells, operations).validate()


# JSON.


@pytest.mark.parametrize("name", ["VGG", "ENAS", "NAONet"])
def test_json_round_trip(name: str) -> None:
    a = zoo()[name]
    assert Architecture.from_json(a.to_json()) == a
    assert Architecture.from_dict(json.loads(json.dumps(a.to_dict()))) == a
    assert parse(a.to_json()) == a


def test_json_is_for_people_too() -> None:
    assert architecture(CONV).to_dict() == {
        "format": "natrl.architecture",
        "version": 1,
        "cells": [
            {
                "name": "normal",
                "inputs": 2,
                "reduction": False,
                "slots": [["conv_3x3", 0, 2], ["null", 1, 2], ["skip_connect", 2, 3]],
                "outputs": [3],
            },
            {"name": "reduce", "inputs": 2, "reduction": True, "slots": [["conv_1x1", 0, 2]], "outputs": [2]},
        ],
    }


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("format",), "other", '"format" must be "natrl.architecture"'),
        (("version",), 2, "architecture version 2 is unknown; this natrl reads version 1"),
        (("cells",), None, '"cells" must be a list of cells'),
        (("cells", 0), "normal", 'cell 0: "name" must be given and of type str'),
        (("cells", 0, "name"), 3, 'cell 0: "name" must be given and of type str'),
        (("cells", 0, "inputs"), 2.5, 'cell 0: "inputs" must be given and of type int'),
        (("cells", 1, "reduction"), "false", 'cell 1: "reduction" must be given and of type bool'),
        (("cells", 1, "slots"), {}, 'cell 1: "slots" must be given and of type list'),
        (("cells", 0, "slots", 2), ["null", 0], r"cell 0, slot 2: \['null', 0\] is not \[operation, from, to\]"),
        (("cells", 0, "slots", 2), ["null", 0, 2.5], "cell 0, slot 2: .* is not"),
        (("cells", 0, "slots", 2), ["null", 0, float("inf")], "numbers are finite, got Infinity"),
        (("cells", 0, "slots", 2), ["null", "0", 2], "cell 0, slot 2: .* is not"),
        (("cells", 0, "slots", 2), ["none of these", 2, 3], "slot 2 .*: unknown operation"),
        (("cells", 0, "outputs"), ["3"], r"cell 0: outputs must be node numbers, got \['3'\]"),
    ],
)
def test_malformed_documents_are_refused(path: tuple[Any, ...], value: Any, reason: str) -> None:
    document: Any = architecture(CONV).to_dict()
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=reason):
        Architecture.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"a":' * 100_000, "9" * 5000])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not JSON|not an architecture|nests deeper than 64 levels"):
        Architecture.from_json(text)


OWN_STRIDES = "network/1: conv_3x3:0>1/2 conv_1x1:0>1/1 skip_connect:1>2/1 | concat 2"


def test_a_whole_network_has_strides_of_its_own_and_an_order_of_slots() -> None:
    network = parse(OWN_STRIDES)
    assert [slot.stride for slot in network.slots] == [2, 1, 1]
    assert network.key == OWN_STRIDES
    assert Architecture.from_json(network.to_json()) == network
    exchanged = parse("network/1: conv_1x1:0>1/2 conv_3x3:0>1/1 skip_connect:1>2/1 | concat 2")
    assert exchanged.cells == network.cells
    assert exchanged.key != network.key
    assert "strides" not in parse("DARTS").to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OWN_STRIDES.replace("1>2/1", "1>2"), "either every slot has a stride"),
        (OWN_STRIDES.replace("0>1/2", "0>1/0"), "needs one stride of at least 1 for each slot"),
    ],
)
def test_malformed_strides_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


@pytest.mark.parametrize(("strides", "message"), [([1], "3 slots but 1 strides"), (["1", 1, 1], "a list of numbers")])
def test_malformed_strides_in_json_are_refused(strides: list, message: str) -> None:
    document = parse(OWN_STRIDES).to_dict()
    document["cells"][0]["strides"] = strides
    with pytest.raises(ValueError, match=message):
        Architecture.from_dict(document)


def test_other_spellings_of_operations_are_the_vocabularys():
    """The word none is the operation null wherever names come in; an architecture made without a reader is told so."""
    names = ["none", "nor_conv_3x3", "conv_7x1_1x7", "conv_3x1_1x3"]
    cell = Cell("normal", 2, ((0, 2), (1, 2), (0, 3), (1, 3)), (2, 3))
    architecture = Architecture((cell,), ("skip_connect",) * 4).with_operations(names).validate()
    assert architecture.operations == ("null", "conv_3x3", "conv_1x7_7x1", "conv_1x3_3x1")
    assert architecture.live_slots == (False, True, True, True)
    with pytest.raises(ValueError, match=r"slot 0 \(none:0>2\): the operation is called null"):
        Architecture((cell,), tuple(names)).validate()
