"""The reader of documents: what is plain comes back, everything else is one line that names the file."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natrl.documents import parse_json, plain, read_document, read_json, read_text, yaml_text
from natrl.documents.plain import BITS, check_shape, DEEPEST

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=30,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documents")


@given(st.dictionaries(NAMES, PLAIN, max_size=5))
def test_plain_documents_come_back(folder: Path, document: dict[str, Any]) -> None:
    (folder / "a.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "a.yaml").write_text(yaml_text(document), encoding="utf-8")
    assert read_json(folder / "a.json") == document
    assert read_document(folder / "a.json") == document
    assert read_document(folder / "a.yaml") == document


@given(
    st.sampled_from(["json", "yaml"]), st.binary(max_size=60) | st.text("{}[]:,-&*!?|>'\"% \n\ta1.e#<=", max_size=40)
)
def test_whatever_is_in_a_file_it_is_read_or_refused_with_one_line(folder: Path, suffix: str, content: Any) -> None:
    file = folder / f"b.{suffix}"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    refusal = ""
    try:
        document = read_document(file)
    except ValueError as error:
        refusal = str(error)
    if refusal:
        assert refusal.startswith(str(file))
        assert "\n" not in refusal
    else:
        assert json.loads(json.dumps(document, allow_nan=False)) == document


DEEP = f"nests deeper than {DEEPEST} levels"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", "[" * 100_000, DEEP),
        ("a.json", '{"a":' * 100_000, DEEP),
        ("a.json", '{"a": ' + "[" * DEEPEST + "]" * DEEPEST + "}", DEEP),
        ("a.yaml", "[" * 1000, DEEP),
        ("a.yaml", "a: &x [*x]", DEEP),
        ("a.json", '{"a": ' + "1" * 30 + "}", f"whole numbers have at most {BITS} bits, got one of 97"),
        ("a.json", '{"a": ' + "1" * 5000 + "}", "not JSON: Exceeds the limit"),
        ("a.yaml", "a: " + "1" * 30, f"whole numbers have at most {BITS} bits, got one of 97"),
        ("a.json", '{"a": NaN}', "numbers are finite, got NaN"),
        ("a.json", '{"a": 1e999}', "numbers are finite, got inf"),
        ("a.yaml", "a: .nan", "numbers are finite, got nan"),
        ("a.json", '{"a": 1, "a": 2}', "'a' is given twice"),
        ("a.yaml", "a: 1\na: 2", "line 2: 'a' is given twice"),
        ("a.yaml", "1: 2", "names are text, got 1"),
        ("a.yaml", "a: {true: 2}", "names are text, got True"),
        ("a.yaml", "? [a]\n: 2", "line 1: names are text"),
        ("a.yaml", "a: 2020-01-01", "quote 2020-01-01"),
        ("a.yaml", "a: !!set {b}", "values are text, numbers"),
        ("a.yaml", "a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a.yaml", "a: !!timestamp x", "not YAML"),
        ("a.yaml", "- a", "expected names and their values, got ['a']"),
        ("a.yaml", "", "expected names and their values, got None"),
        ("a.json", '"text"', "expected names and their values, got 'text'"),
        ("a.json", '{"a": "\\ud800"}', "text holds characters that are none"),
        ("a.json", '{"a": "\\u0000"}', "text holds characters that are none"),
        ("a.yaml", "a: b: c", "line 1: mapping values are not allowed here"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, text: str, reason: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ValueError, match=f"^{re.escape(str(file))}.*{re.escape(reason)}"):
        read_document(file)


def test_aliases_that_multiply_count_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "MOST_VALUES", 10_000)  # the real limit takes two seconds
    (tmp_path / "a.yaml").write_text(BOMB)
    with pytest.raises(ValueError, match=r"it holds more than 10,000 values"):
        read_document(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("b: &b {c: 1}\nd: *b\ne: {<<: *b, f: 2e-3}")
    assert read_document(tmp_path / "a.yaml") == {"b": {"c": 1}, "d": {"c": 1}, "e": {"c": 1, "f": 0.002}}


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path / "pipe", "it is no file"),
        (tmp_path, "it is a folder"),
        (Path("/dev/zero"), "it is no file"),
        (tmp_path / "none", "No such file or directory"),
        (tmp_path / ("x" * 5000), "File name too long"),
        (tmp_path / "a\0b", "embedded null byte"),
    ):
        with pytest.raises(ValueError, match=f"cannot be read: {reason}"):
            read_text(path)
    (tmp_path / "large").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="large has 100 bytes; such files have at most 99"):
        read_text(tmp_path / "large", largest=99)
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin: not UTF-8 text: .* at byte 0"):
        read_text(tmp_path / "latin")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"a": 1, "b": [{"c": 0.5}], "more": []}, None),
        ({"a": 1, "b": []}, None),
        ({"a": True, "b": []}, "x: a: expected a whole number, got True"),
        ({"a": 1}, "x: b: expected a list, got None"),
        ({"a": 1, "b": [{"c": 1}, {"c": "1"}]}, "x: b, 1: c: expected a number or None, got '1'"),
        ([], "x: expected names and values, got []"),
    ],
)
def test_shapes(document: Any, reason: str | None) -> None:
    shape = {"a": int, "b": [{"c": float | None}]}
    if reason is None:
        check_shape(document, shape, "x")
        return
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        check_shape(document, shape, "x")


def test_texts_name_where_they_are_from() -> None:
    assert parse_json("[1]", "ledger") == [1]
    with pytest.raises(ValueError, match=r"^ledger: not JSON: Expecting value"):
        parse_json("x", "ledger")
