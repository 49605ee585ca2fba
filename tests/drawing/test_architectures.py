"""Pictures: formats, labels, marks of changes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.text import Text

from natrl import Skeleton, zoo
from natrl.core.operations import VOCABULARY
from natrl.drawing.architectures import architecture_figure, draw
from natrl.drawing.palette import look_of
from tests.report.examples import changed, dense_cell, NASBENCH, random_operations, SKELETON, sparse_cell

PAIRS = {
    "VGG": ("VGG", "NATv2_VGG"),
    "DARTS": ("DARTS", "NATv2_DARTS"),
    "ENAS": ("ENAS", "NATv2_ENAS"),
    "NAONet": ("NAONet", "NATv2_NAONet"),
}


def artists(figure: Figure, gid: str) -> list:
    return figure.findobj(lambda artist: (artist.get_gid() or "").startswith(gid))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def check_text_and_labels(figure: Figure) -> None:
    """As the renderer measures them: labels are disjoint and hold their text; no text overlaps another or the edge."""
    FigureCanvasAgg(figure).draw()
    labels = [a.get_window_extent() for a in artists(figure, "label-") if isinstance(a, FancyBboxPatch)]
    assert not [(a, b) for a, b in combinations(labels, 2) if a.overlaps(b)]
    written = [text for text in figure.findobj(Text) if text.get_text()]
    boxes = [text.get_window_extent() for text in written]
    assert not [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]
    for text, box in zip(written, boxes, strict=True):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        if text.get_text() in VOCABULARY:
            assert any(label.containsx(box.x0) and label.containsx(box.x1) for label in labels if label.overlaps(box))


@pytest.mark.parametrize("pair", PAIRS)
def test_texts_do_not_overlap_in_the_zoo(pair):
    before, after = (zoo()[name] for name in PAIRS[pair])
    check_text_and_labels(architecture_figure(before, title=pair))
    check_text_and_labels(architecture_figure(after, before=before, networks=Skeleton(), title=" → ".join(PAIRS[pair])))


@pytest.mark.parametrize("cell", [dense_cell(), sparse_cell()], ids=["dense", "sparse"])
def test_texts_do_not_overlap_with_60_changed_slots(cell):  # 1–2 s: 120 labels are measured by the renderer
    before = random_operations(cell)
    after = before.with_operations(["null" if op == "skip_connect" else "skip_connect" for op in before.operations])
    figure = architecture_figure(after, before=before)
    check_text_and_labels(figure)
    assert len({a.get_gid() for a in artists(figure, "changed-")}) == 60


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG\r\n\x1a\n"), (".svg", b"<?xml"), (".pdf", b"%PDF-")])
def test_the_suffix_is_the_format(tmp_path, suffix, magic):
    path = draw(NASBENCH, tmp_path / f"picture{suffix}")
    assert path == tmp_path / f"picture{suffix}"
    assert path.read_bytes().startswith(magic)


@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_equal_pictures_are_equal_files(tmp_path, suffix):
    first, second = (draw(NASBENCH, tmp_path / f"{n}{suffix}").read_bytes() for n in "ab")
    assert first == second


@pytest.mark.parametrize("name", ["picture.gif", "picture"])
def test_another_suffix_is_refused_and_nothing_written(tmp_path, name):
    with pytest.raises(ValueError, match=r"written as \.png, \.svg, \.pdf"):
        draw(NASBENCH, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_another_topology_before_is_refused(tmp_path):
    with pytest.raises(ValueError, match="different topologies"):
        draw(zoo()["VGG"], tmp_path / "picture.png", before=zoo()["DARTS"])


def test_each_slot_is_an_arrow_in_the_colour_of_its_kind():
    figure = architecture_figure(zoo()["NAONet"])
    start = 0
    for cell in zoo()["NAONet"].cells:
        for i in range(len(cell.edges)):
            (arrow,) = artists(figure, f"slot-{cell.name}-{i}")
            assert isinstance(arrow, PathPatch)
            assert arrow.get_edgecolor()[:3] == to_rgb(look_of(zoo()["NAONet"].operations[start + i]).color)
        start += len(cell.edges)


def test_kinds_differ_in_colour_and_in_line():
    looks = {look_of(name).label: look_of(name) for name in VOCABULARY}
    assert len(looks) == 11
    assert len({look.color for look in looks.values()}) == 11
    assert len({(look.line, look.width) for look in looks.values()}) == 11


def test_changed_slots_alone_are_marked_before_and_after_and_listed():
    before = zoo()["DARTS"]
    after = changed(before, {2: "skip_connect", 10: "null"})
    figure = architecture_figure(after, before=before, networks=SKELETON)
    marks = [a.get_gid() for a in artists(figure, "changed-")]
    assert sorted(marks) == ["changed-1"] * 3 + ["changed-2"] * 3  # before, after, and in the list
    edges = {a.get_gid(): {b.get_linewidth() for b in artists(figure, a.get_gid())} for a in artists(figure, "label-")}
    assert {gid for gid, widths in edges.items() if max(widths) > 1} == {"label-normal-2", "label-reduce-2"}
    lines = [text for text in texts(figure) if "→" in text]
    assert [line.split("   ")[0] for line in lines] == [
        "normal 0 → 3:  sep_conv_3x3 → skip_connect",
        "reduce 2 → 3:  skip_connect → null",
    ]
    # sep_conv_3x3 at C = 8 on 8×8: 2·(9·8 + 8·8)·64 MAdds and 2·(9·8 + 8·8) + 2·2·8 parameters, in the one normal cell.
    assert lines[0].endswith(f"−{100 * 17_408 / 241_904:.1f} % MAdds, −{100 * 304 / 7_802:.1f} % parameters")
    assert lines[1].endswith("±0.0 % MAdds, ±0.0 % parameters")


def test_without_a_skeleton_no_costs_are_written():
    figure = architecture_figure(changed(NASBENCH, {0: "null"}), before=NASBENCH)
    assert not [text for text in texts(figure) if "MAdds" in text]
    assert "cell 0 → 1:  conv_3x3 → null" in texts(figure)


def test_svg_carries_the_ids(tmp_path):
    path = draw(changed(NASBENCH, {1: "skip_connect"}), tmp_path / "a.svg", before=NASBENCH)
    ids = [element.get("id") for element in ElementTree.parse(path).iter()]
    assert ids.count("changed-1") == 3
    assert ids.count("slot-cell-1") == 2


def test_titles_are_text_and_not_formulas(tmp_path):
    draw(NASBENCH, tmp_path / "a.png", title=r"a $\nonsense{ price of 5$ <b>")
