"""The zoo and the notations: everything reads back, and nothing in a text is ever executed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natrl.core.architecture import Architecture
from natrl.core.genotypes import nasbench201_architecture, parse, to_darts, to_nasbench201, to_nat, zoo
from natrl.spaces import space

NAMES = [
    *("DARTS", "NAT_DARTS", "NATv2_DARTS"),
    *("ENAS", "NAT_ENAS", "NATv2_ENAS"),
    *("VGG", "NAT_VGG", "NATv2_VGG"),
    *("ResBlock", "NAT_ResBlock", "NATv2_ResBlock"),
    *("Mobilenetv2", "NAT_MobileNetv2", "NATv2_MobileNetv2"),
    *("NAONet", "NAT_NAONet", "NATv2_NAONet"),
]

# As the public code of DARTS prints its own cell.
DARTS_TEXT = """Genotype(
    normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1),
            ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)],
    normal_concat=[2, 3, 4, 5],
    reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1),
            ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)],
    reduce_concat=range(2, 6))"""

PLAIN = "Genotype(normal=[('conv_3x3', 0, 2)], normal_concat=[2], reduce=[('none', 1, 2)], reduce_concat=[2])"
PLAIN_KEY = "normal: conv_3x3:0>2 | concat 2 ; reduce: null:1>2 | concat 2"


# The zoo.


def test_the_zoo_is_complete() -> None:
    assert list(zoo()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_is_valid_live_and_of_its_space(name: str) -> None:
    architecture = zoo()[name]
    home = "nao" if "NAONet" in name else "enas" if "ENAS" in name else "darts"
    assert space(home).check(architecture.validate()) is architecture
    assert architecture.is_live
    assert [cell.name for cell in architecture.cells] == ["normal", "reduce"]


def test_the_zoo_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        zoo()["VGG"] = zoo()["DARTS"]  # type: ignore[index]


@pytest.mark.parametrize("name", ["DARTS", "darts", " NATv2_MobileNetV2 "])
def test_names_are_found_in_any_case(name: str) -> None:
    assert parse(name) in zoo().values()


# Notations.


def test_darts_pairs() -> None:
    assert parse(DARTS_TEXT) == zoo()["DARTS"]


def test_nat_triples() -> None:
    assert parse(PLAIN).key == PLAIN_KEY


def test_none_is_null() -> None:
    assert parse(PLAIN).operations == ("conv_3x3", "null")
    assert parse(PLAIN_KEY.replace("null", "none")) == parse(PLAIN)


def test_nasbench201_string() -> None:
    text = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    architecture = parse(text)
    assert architecture.operations == ("conv_3x3", "null", "avg_pool_3x3", "skip_connect", "conv_1x1", "conv_3x3")
    assert " ".join(f"{slot.source}>{slot.target}" for slot in architecture.slots) == "0>1 0>2 1>2 0>3 1>3 2>3"
    assert to_nasbench201(architecture) == text
    assert nasbench201_architecture("304123") == architecture


@pytest.mark.parametrize("name", NAMES)
def test_nat_notation_and_json_round_trip(name: str) -> None:
    architecture = zoo()[name]
    assert parse(to_nat(architecture)) == architecture
    assert parse(architecture.to_json()) == architecture


@pytest.mark.parametrize("name", NAMES)
def test_the_key_reads_back_to_the_same_key(name: str) -> None:
    assert parse(zoo()[name].key).key == zoo()[name].key


@pytest.mark.parametrize("name", NAMES)
def test_darts_notation_round_trip(name: str) -> None:
    assert parse(to_darts(zoo()[name])) == zoo()[name]


@given(st.sampled_from(["darts", "enas", "nao", "nasbench201"]), st.integers(0, 2**32 - 1))
def test_random_architectures_round_trip(name: str, seed: int) -> None:
    architecture = space(name).sample(np.random.default_rng(seed))
    texts = [architecture.key, architecture.to_json()]
    texts += [to_nasbench201(architecture)] if name == "nasbench201" else [to_nat(architecture), to_darts(architecture)]
    for text in texts:
        assert parse(text).key == architecture.key


def test_notations_refuse_what_they_cannot_say() -> None:
    cell = nasbench201_architecture("000000")
    with pytest.raises(ValueError, match="only architectures of a normal and a reduce cell"):
        to_nat(cell)
    with pytest.raises(ValueError, match="not an architecture of NAS-Bench-201"):
        to_nasbench201(zoo()["VGG"])
    with pytest.raises(ValueError, match="not an architecture of NAS-Bench-201"):
        to_nasbench201(cell.with_operations(["conv_5x5"] * 6))
    with pytest.raises(ValueError, match="cell 'normal': DARTS' notation needs two slots for each node"):
        to_darts(parse(PLAIN))


# Files.


def test_files_are_read(tmp_path: Path) -> None:
    for name, text in [("a.json", zoo()["VGG"].to_json()), ("b.txt", DARTS_TEXT), ("c.txt", zoo()["ENAS"].key)]:
        (tmp_path / name).write_text(text + "\n")
    assert parse(tmp_path / "a.json") == zoo()["VGG"]
    assert parse(str(tmp_path / "b.txt")) == zoo()["DARTS"]
    assert parse(tmp_path / "c.txt").key == zoo()["ENAS"].key


def test_a_key_may_be_written_on_two_lines(tmp_path: Path) -> None:
    (tmp_path / "cells.txt").write_text(PLAIN_KEY.replace(" ; ", "\n"))
    assert parse(tmp_path / "cells.txt") == parse(PLAIN)


def test_a_network_that_is_named_like_a_file_gets_a_hint(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def build(): ...")
    with pytest.raises(ValueError, match=r"\(a network is module:function, without \.py\)"):
        parse(f"{tmp_path / 'net.py'}:build")


def test_a_file_in_no_notation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("my favourite architecture")
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n\xff\xfe")
    with pytest.raises(ValueError, match="'my favourite architecture' is no known architecture, file or notation"):
        parse(tmp_path / "notes.txt")
    with pytest.raises(ValueError, match=r"image\.png' is not a readable text file"):
        parse(tmp_path / "image.png")
    with pytest.raises(ValueError, match="is no known architecture, file or notation"):
        parse(tmp_path)


# What is refused.


@pytest.mark.parametrize("text", ["DRATS", "", "no/such/file.json", "x" * 5000, "\0", "Genotype()"])
def test_an_unknown_name_lists_the_zoo(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no known architecture, .*; known: DARTS, .*NATv2_NAONet") as error:
        parse(text)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("'conv_3x3'", "'conv_9x9'", r"cell 'normal', slot 0 \(conv_9x9:0>2\): unknown operation"),
        ("('conv_3x3', 0, 2)", "('conv_3x3', 2, 2)", "slot 0 .*: a slot leads from a lower node"),
        ("('conv_3x3', 0, 2)", "('conv_3x3', 0)", r"cell 'normal': DARTS pairs come two for each node, got 1"),
        ("('conv_3x3', 0, 2)", "'conv_3x3'", r"cell 'normal', slot 0: 'conv_3x3' is not \(operation, from"),
        ("('conv_3x3', 0, 2)", "(0, 0, 2)", r"slot 0: \(0, 0, 2\) is not"),
        ("('conv_3x3', 0, 2)", "('conv_3x3', 0.0, 2)", "slot 0: .* is not"),
        ("('conv_3x3', 0, 2)", "('conv_3x3', 0, 2), ('null', 0)", r"slot 1: \('null', 0\) is not"),
        ("[('conv_3x3', 0, 2)]", "[]", r"cell 'normal': expected a list of slots, got \[\]"),
        ("[('conv_3x3', 0, 2)]", "3", "cell 'normal': expected a list of slots, got 3"),
        ("normal_concat=[2]", "normal_concat=2", "normal_concat must be a list of node numbers, got 2"),
        ("normal_concat=[2]", "normal_concat=['2']", r"normal_concat must be a list of node numbers, got \['2'\]"),
        ("normal_concat=[2]", "normal_concat=[7]", "cell 'normal': output node 7 is written by no slot"),
        (", reduce_concat=[2]", "", "a genotype has the fields .*; got normal, normal_concat, reduce$"),
        (", reduce_concat=[2]", ", reduce=[2]", "once each; got normal, normal_concat, reduce, reduce$"),
        ("Genotype(", "Genotype(1, ", "malformed genotype: expected Genotype"),
        ("reduce_concat=[2])", "reduce_concat=[2]", r"malformed genotype: '\(' was never closed"),
    ],
)
def test_malformed_genotypes_are_refused_with_slot_and_reason(old: str, new: str, reason: str) -> None:
    assert old in PLAIN
    with pytest.raises(ValueError, match=reason):
        parse(PLAIN.replace(old, new))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("normal: conv_3x3:0-2 | concat 2", r"cell 'normal', slot 0: 'conv_3x3:0-2' is not operation:from>to"),
        ("normal: conv_3x3:0>2", "malformed cell 'normal: conv_3x3:0>2': expected"),
        ("normal: conv_3x3:0>2 | concat two", "malformed cell .*: expected"),
        ("normal: conv_3x3:0>2 | concat ²", "malformed cell .*: expected"),
        ("normal: conv_3x3:0>2 | concat", "cell 'normal': needs at least one output node"),
        ("normal: conv_3x3:0>2 | concat 2 ; whatever", "malformed cell 'whatever': expected"),
        ("normal: conv_3x3:0>" + "9" * 5000 + " | concat 2", "slot 0: .* is not operation:from>to"),
        ("normal: conv_3x3:0>2 | concat " + "9" * 5000, "malformed cell .*: expected"),
        ("|none~0|", r"has 3 nodes joined by '\+', got 1"),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", "node 2 of a NAS-Bench-201 string has 2 slots, got 1"),
        ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "node 2, slot 1: 'none~0' is not one of none~1, "),
        ("|null~0|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1, slot 0: 'null~0' is not one of none~0, "),
    ],
)
def test_malformed_text_is_refused_with_slot_and_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        parse(text)
    assert len(str(error.value)) < 300


def in_normal(value: str) -> str:
    return PLAIN.replace("[('conv_3x3', 0, 2)]", value)


def in_concat(value: str) -> str:
    return PLAIN.replace("normal_concat=[2]", f"normal_concat={value}")


HOSTILE = {
    "bare call": "__import__('os').system('touch {file}')",
    "call as field": in_normal("__import__('os').system('touch {file}')"),
    "call as genotype": PLAIN.replace("Genotype", "__import__('os').system"),
    "call in a list": in_normal("[('conv_3x3', 0, open('{file}', 'w').write('x'))]"),
    "call in range": in_concat("range(2, open('{file}', 'w').write('xxx'))"),
    "comprehension": in_concat("[open('{file}', 'w') for _ in 'x']"),
    "walrus": in_concat("(x := [2])"),
    "lambda": in_concat("(lambda: [2])()"),
    "formatted string": in_normal("[(f'{{open(1)}}', 0, 2)]"),
    "keyword of range": in_concat("range(stop=3)"),
    "unpacking": PLAIN.replace("normal_concat=[2]", "**{{'normal_concat': [2]}}"),
    "star": PLAIN.replace("normal_concat=[2]", "*[2]"),
    "huge range": in_concat("range(1000000000000)"),
    "range without step": in_concat("range(2, 3, 0)"),
    "huge power": in_concat("[9**9**9]"),
    "huge number": in_concat("[" + "9" * 5000 + "]"),
    "huge node": in_normal("[('conv_3x3', 0, 10000000000)]"),
    "deep list": in_normal("[" * 150 + "]" * 150),
    "deeper list": in_normal("[" * 100_000 + "]" * 100_000),
    "deep minus": in_normal("-" * 400 + "1"),
    "deeper minus": in_normal("-" * 100_000 + "1"),
    "long sum": in_normal("1" + "+1" * 100_000),
    "long chain": in_normal("a" + ".a" * 3000),
    "null byte": in_normal("'\0'"),
    "deep JSON": '{{"a":' + "[" * 100_000,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_text_is_refused_and_never_evaluated(case: str, tmp_path: Path) -> None:
    file = tmp_path / "evaluated"
    with pytest.raises(ValueError, match=r".") as error:
        parse(HOSTILE[case].replace("{file}", str(file)).replace("{{", "{").replace("}}", "}"))
    assert not file.exists()
    assert len(str(error.value)) < 600, "the text is not thrown back at the reader"


@given(st.one_of(st.text(), st.text("()[]{}|+~:>,'=0123456789 \nabcdeghlmnoprtuvxGP_"), st.just(PLAIN)), st.data())
def test_any_text_gives_an_architecture_or_one_clear_error(text: str, data: st.DataObject) -> None:
    """Text at random, and a genotype with one piece replaced at random: 1–4 s, most of it making the text."""
    start = data.draw(st.integers(0, len(text)))
    piece = data.draw(st.text(max_size=4))
    try:
        result = parse(text[:start] + piece + text[start + len(piece) :])
    except ValueError:
        return
    assert isinstance(result, Architecture)
    assert result.validate() is result
