"""Keys of the ledger: whatever setting changes a score changes its key, and no other does."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.ledger.file import settings_text
from natrl.spaces import Skeleton
from natrl.training.supernet import FAIR

SKELETON = Skeleton(channels=2, cells=3, image_size=8, image_channels=1, num_classes=10)
SCRATCH = EvaluatorSpec(reward="scratch", skeleton=SKELETON)

#: Another value of each setting that changes the score of an architecture that is trained from scratch.
CHANGES: dict[str, Any] = {
    "data": "folder",  # replaced by one that is there
    "image_size": 4,
    "metric": "cross_entropy",
    "skeleton": replace(SKELETON, channels=4),
    "schedule": "paper",
    "bf16": True,
    "seed": 1,
}
#: Which space it is from, how a supernet would be trained, on how many machines it runs, and who predicts the others.
NO_CHANGE: dict[str, Any] = {
    "space": "enas",
    "weights": replace(FAIR, batch_size=7),
    "weight_share": 0.4,
    "score_images": 64,
    "reference_images": 32,
    "steps": 5,
    "surrogate": 20,
    "surrogate_every": 7,
    "total_steps": 10,
    "actors": 3,
    "num_cpus": 2,
    "num_gpus": 0.5,
    "timeout": 10.0,
    "max_attempts": 5,
}


def key(spec: EvaluatorSpec) -> str:
    return settings_text(spec().settings() or {})


def test_every_setting_is_one_or_the_other() -> None:
    """`reward` and `column` choose another evaluator or table."""
    assert {f.name for f in fields(EvaluatorSpec)} == {*CHANGES, *NO_CHANGE, "reward", "column"}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_a_score_changes_its_key(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = CHANGES[name]
    if name == "data":
        monkeypatch.chdir(tmp_path)
        (tmp_path / "mine_keyed.py").write_text(
            "from dataclasses import replace\nfrom natrl.data import load_data\n"
            "def other(): data = load_data('digits'); return replace(data, validation=data.test)\n"
        )
        value = "mine_keyed:other"
    assert key(replace(SCRATCH, **{name: value})) != key(SCRATCH)


@pytest.mark.parametrize("name", NO_CHANGE)
def test_nothing_else_does(name: str) -> None:
    assert key(replace(SCRATCH, **{name: NO_CHANGE[name]})) == key(SCRATCH)


def test_a_tables_key_follows_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    rows = ["arch,a,b", "DARTS,0.5,0.6", "VGG,0.7,0.8"]

    def found(*changed: str, column: str = "a") -> str:
        file.write_text("\n".join(changed or rows))
        return key(EvaluatorSpec(reward=f"table:{file}", column=column))

    first = found()
    assert found() == found(rows[0], rows[2], rows[1]) == first, "the order of rows says nothing"
    others = [found(*rows[:2], "VGG,0.7000001,0.8"), found(column="b"), found(*rows, "ENAS,0.1,0.2")]
    assert len({first, *others}) == 4
