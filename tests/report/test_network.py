"""report.html of a network that was made cheaper: what it shows, and that names are escaped."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

import natrl
from natrl.report.network import is_network, write_network_report
from natrl.report.network_plot import layers_figure
from tests.commands.cli import error
from tests.report.chromium import CHROMIUM, show
from tests.report.test_html import EVIL, Page

LATENCY = {"batch": 1, "seconds": 0.004, "spread": 0.0002, "runs": 9, "device": "cpu"}
ASKED = {
    "model": "Net",
    "weights": "00",
    "data": "digits",
    "images": [800, 450],
    "budget": {"madds": "70%", "params": None},
    "settings": {"seed": 3, "learn": {"iterations": 2}},
    "policy": None,
}
LAYERS = [
    {
        "name": "stem",
        "before": "conv_5x5",
        "after": "conv_5x5",
        "cost": {"params": 200, "madds": 9_000_000},
        "new_cost": {"params": 200, "madds": 9_000_000},
    },
    {
        "name": "body.0",
        "before": "conv_3x3",
        "after": "sep_conv_3x3",
        "cost": {"params": 900, "madds": 5_000_000},
        "new_cost": {"params": 300, "madds": 2_000_000},
    },
]
FOUND: dict[str, Any] = {
    "model": "Net",
    "before": {
        "cost": {"params": 2000, "madds": 20_000_000},
        "validation_accuracy": 0.9,
        "test_accuracy": 0.912,
        "latency": [LATENCY],
    },
    "after": {
        "cost": {"params": 1400, "madds": 14_000_000},
        "validation_accuracy": 0.91,
        "test_accuracy": 0.902,
        "latency": [{**LATENCY, "seconds": 0.003}],
    },
    "recalibrated": {"validation": 0.895, "test": 0.9234},
    "tuned_original": {"validation": 0.915, "test": 0.9345},
    "layers": LAYERS,
    "frozen": {"head": f"because {EVIL}"},
    "candidates": 25,
    "no_code": None,
    "verdicts": ["MAdds: kept, 0.0% below the limit"],
}


def written(directory: Path, found: dict[str, Any] | None = FOUND) -> Path:
    config = {"settings": {}, "network": ASKED, "versions": {"natrl": natrl.__version__}}
    (directory / "config.json").write_text(json.dumps(config))
    if found is not None:
        (directory / "report.json").write_text(json.dumps(found))
    return directory


def test_the_page_shows_figures_and_layers_and_escapes_names(tmp_path: Path) -> None:
    found = copy.deepcopy(FOUND)
    found["layers"][1]["name"] = EVIL
    found["no_code"] = EVIL
    assert is_network(written(tmp_path, found))
    text = write_network_report(tmp_path).read_text()
    page = Page(text)
    assert page.sections == ["figures", "layers", "repeat"]  # nothing was learned
    assert "script" not in page.tags
    assert all(link.startswith(("data:", "#")) for link in page.loads)
    assert page.alts == ["MAdds of 2 layers before and after; 1 were replaced"]
    assert EVIL in page.text
    assert "There is no model.py" in page.text
    assert "test accuracy (%) 91.20 90.20 −1.00" in page.text
    assert "test accuracy, with new batch-norm statistics before (%) 92.34 90.20 −2.14" in page.text
    assert "test accuracy, fine-tuned alike before (%) 93.45 90.20 −3.25" in page.text
    assert "MAdds 20.00 M 14.00 M 70.0%" in page.text
    assert "latency of 1 image on cpu (ms) 4 ± 0.1 3 ± 0.1 75.0%" in page.text
    assert "conv_3x3 → sep_conv_3x3 5.000 M → 2.000 M 900 → 300" in page.text
    assert "budget madds 70%" in page.text
    assert "MAdds: kept, 0.0% below the limit." in page.text
    assert "<details><summary>What was asked" in text  # folded
    assert "settings.learn.iterations 2" in page.text


def test_the_bars_are_the_layers_costs() -> None:
    (axes,) = layers_figure(LAYERS).axes
    assert [bar.get_width() for bar in axes.patches] == [9, 5, 9, 2]  # before, then after
    assert [text.get_text() for text in axes.texts] == [" conv_3x3 → sep_conv_3x3"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["stem", "body.0"]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    shown = show(write_network_report(written(tmp_path)), tmp_path)
    assert not shown.console
    assert not shown.requests


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not finished (no report.json)" in error(capsys, "report", written(tmp_path, None))
    with pytest.raises(ValueError, match=r"report\.json: model: expected text, got None"):
        write_network_report(written(tmp_path, {"layers": []}))
    assert not (tmp_path / "report.html").exists()
