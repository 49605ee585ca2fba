"""Documents and texts with a piece replaced by anything: an architecture, or one clear line."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natrl.core.architecture import Architecture
from natrl.core.genotypes import parse, zoo
from tests.core.genotypes.published import SOURCE

DOCUMENT = zoo()["VGG"].to_dict()
GENOTYPE = {
    "normal": [["sep_conv_3x3", 0], ["skip_connect", 1]],
    "normal_concat": [2],
    "reduce": [["max_pool_3x3", 0, 2], ["none", 1, 2]],
    "reduce_concat": [2],
}
SCALARS = st.one_of(
    st.none(), st.booleans(), st.text(max_size=6), st.integers(), st.floats(), st.just(10**30), st.just("x" * 10_000)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a document."""
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in list(keys):
        yield document, key
        yield from places(document[key])


def read(text: str) -> None:
    """An architecture that is valid, or one line of at most a few hundred characters."""
    try:
        result = parse(text)
    except ValueError as error:
        message = str(error)
    else:
        assert parse(result.key).key == result.key
        return
    assert len(message) < 800
    assert "\n" not in message


@settings(max_examples=200)
@given(st.sampled_from([DOCUMENT, GENOTYPE]), st.data())
def test_a_document_with_anything_in_some_places(document: dict[str, Any], data: st.DataObject) -> None:
    document = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(list(places(document))))
        container[key] = data.draw(ANYTHING)
    read(json.dumps(document))
    if "normal" in document:
        read(f"x = Genotype({', '.join(f'{name}={part!r}' for name, part in document.items())})")


@settings(max_examples=50)
@given(st.integers(0, len(SOURCE)), st.integers(0, 40), st.text(max_size=4))
def test_a_file_with_a_piece_replaced(start: int, length: int, piece: str) -> None:
    read(SOURCE[:start] + piece + SOURCE[start + length :])


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(DOCUMENT).replace('"version": 1', '"version": ' + "[" * 100_000 + "]" * 100_000),
        json.dumps(DOCUMENT).replace('"inputs": 2', '"inputs": ' + "2" * 30),
        json.dumps(DOCUMENT).replace('"inputs": 2', '"inputs": ' + "2" * 4000),
        json.dumps(DOCUMENT).replace("[5]", "[" + "5" * 4000 + "]"),
        json.dumps(DOCUMENT).replace('"conv_3x3", 2, 3', '"conv_3x3", 2, ' + "3" * 30),
        json.dumps(DOCUMENT).replace('"outputs": [5]', '"outputs": [5], "strides": [' + "9" * 30 + ", 1" * 7 + "]"),
        json.dumps(DOCUMENT).replace('"normal"', '["normal"]'),
        json.dumps(DOCUMENT).replace('"normal"', json.dumps("x" * 100_000)),
        json.dumps(DOCUMENT).replace('"conv_3x3"', json.dumps("x\n" * 100_000)),
        f"Genotype(normal={'[' * 100_000})",
        f"Genotype(normal=[('conv_3x3', {'9' * 30})], normal_concat=[2], reduce=[], reduce_concat=[])",
        "Genotype(" * 100_000,
        "(((" * 100_000,
        "'" * 100_001,
        "|none~0|" * 50_000,
        "x:>" * 100_000,
    ],
)
def test_deep_and_huge_texts_are_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)
    read(text)


def test_keys_that_are_no_text() -> None:
    with pytest.raises(ValueError, match='"format" must be'):
        Architecture.from_dict({1: 2, None: 3})
    with pytest.raises(ValueError, match='cell 0: "name" must be given'):
        Architecture.from_dict({**DOCUMENT, "cells": [{1: 2}]})
    with pytest.raises(ValueError, match="expected Genotype"):
        parse("{'normal': [], 'reduce': [], 1: 2, None: 3}")
