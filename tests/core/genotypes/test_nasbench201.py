"""NAS-Bench-201's strings and NATS-Bench's structures, as their libraries and logs print them."""

from __future__ import annotations

from pathlib import Path

import pytest

from natrl.core.genotypes import nasbench201_architecture, parse

STRING = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
STRUCTURE = (
    (("nor_conv_3x3", 0),),
    (("none", 0), ("avg_pool_3x3", 1)),
    (("skip_connect", 0), ("nor_conv_1x1", 1), ("nor_conv_3x3", 2)),
)

SPELLINGS = {
    "string": STRING,
    "quoted": repr(STRING),
    "in double quotes": f'"{STRING}"',
    "named": f"arch = '{STRING}'",
    "repr of a Structure": f"Structure(4 nodes with {STRING})",
    "of a CellStructure": f"genotype: CellStructure(4 nodes with {STRING})",
    "tuples": str(STRUCTURE),
    "lists": str([[list(slot) for slot in node] for node in STRUCTURE]),
    "slots in another order": str(tuple(node[::-1] for node in STRUCTURE)),
    "named tuples": f"best = {STRUCTURE}",
    "a line of YAML": f"arch: '{STRING}'",
    "a log line": f"[2020-10-15 09:01] the best: {STRING}, 91.2 %",
    "tuples in a log line": f"[2020-10-15 09:01:02] epoch 3 arch: {STRUCTURE}",
    "a log that says it twice": f"[09:01] {STRING}\n[09:02] {STRING}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_the_same_architecture(spelling: str) -> None:
    assert parse(SPELLINGS[spelling]) == nasbench201_architecture("304123")


def test_a_line_of_a_log_is_chosen(tmp_path: Path) -> None:
    log = tmp_path / "search.log"
    log.write_text(f"[09:01] {STRING}\nnoise (\n[09:02] {STRING.replace('none', 'skip_connect')}\n")
    assert parse(f"{log}:1") == parse(STRING)
    with pytest.raises(
        ValueError, match=r"holds 2 architectures: 1 \(without a name\), 3 \(without a name\); .*search.log:1$"
    ):
        parse(log)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (str(STRUCTURE).replace("none", "null"), r"node 2, slot 0: \('null', 0\) is not one of none~0"),
        (str(STRUCTURE).replace("1)", "0)"), r"node 2, slot 1: \('avg_pool_3x3', 0\) is not one of none~1"),
        (str(STRUCTURE).replace("0)", "'0')"), r"a slot of a NATS-Bench structure is \(operation, from\)"),
        (f"Structure(4 nodes with {STRING[:-18]})", "has 3 slots, got 1"),
        ("epoch 3 ((('none', 0),), 0.5, 0)", "3 nodes, of 1, 2 and 3 slots"),
        ("epoch 3 ((('none', 0)))", "3 nodes, of 1, 2 and 3 slots"),
        (repr(STRING[:16]), r"3 nodes joined by '\+', got 1"),
        ("64:64:32:16:8", "is no known architecture"),  # NATS-Bench's channels, not a topology
    ],
)
def test_malformed_ones_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(text)
