"""The page that benchmarks/modules.py writes for the docs: what holds is counted, what does not has its line."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the path."""
    monkeypatch.syspath_prepend(BENCHMARKS)


def row(name: str, family: str, **given: Any) -> dict[str, Any]:
    """Of a network of which all holds, but for what is given."""
    counts = {"slots": 5, "poolings": 1, "moving": 6, "movable": 0.975, "smallest": 0.04, "seconds": 1.25, "off": 0.0}
    held = {"identical": True, "identical_training": True, "transforms": "2/2", "failed": "", "targets": True}
    known = {"network": name, "kind": "classification", "family": family, "size": 64, "sizes": ["64×64", "128×128"]}
    return known | counts | held | {"code": 123} | given


def test_the_page_counts_families_and_says_what_does_not_hold() -> None:
    failed = {"said": "ValueError: no such thing.", "targets": False}
    rows = [
        row("torchvision:resnet18", "resnet"),
        row("timm:resnet26", "resnet", code="ResNet cannot be followed, its path depends on values (Guard…)"),
        row("timm:dla34", "dla", identical=False, movable=0.4, stays="3 layers: it has hooks"),
        {"network": "timm:vgg11", "kind": "classification", "family": "vgg", "size": 64} | failed,
    ]
    page = import_module("_modules_table").markdown(rows)
    assert "**torchvision: classification**: 1 network; at least half of the MAdds in slots with moves: all" in page
    counts = "at least half of the MAdds in slots with moves: 1 of 3; every check held: 1 of 3"
    assert "**timm**: 3 networks of 3 families (timm " in page
    assert counts in page
    assert "| resnet18 | 64×64 / 128×128 | 6 | 6 | 98 % | 4 % | 1.2 s | 123 |" in page
    assert "- `timm:dla34`: not the same to the last bit in evaluation mode." in page
    assert "- `timm:dla34`: moves in 40 % of the MAdds; 3 layers: it has hooks." in page
    assert "- `timm:vgg11`: ValueError: no such thing." in page
    assert "- No `model.py` of resnet26: its path depends on values." in page


def test_names_may_be_patterns() -> None:
    names_of = import_module("_modules_networks").names_of
    assert names_of(["torchvision:vgg11*", "torchvision:vgg11"]) == ["torchvision:vgg11", "torchvision:vgg11_bn"]
    assert {"torchvision:s3d", "torchvision:fcn_resnet50"} <= {*names_of(["torchvision:*"])}
    with pytest.raises(ValueError, match=r"unknown network 'torchvision:nothing\*': torchvision:NAME or timm:NAME"):
        names_of(["torchvision:nothing*"])
