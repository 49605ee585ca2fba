"""A sample of the malformed inputs that `make fuzz` tries: about 15 s."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.cases import all_cases
from tests.fuzz.judging import Case, judge
from tests.fuzz.workplace import make_workplace

SAMPLE = 120


@pytest.fixture(scope="module")
def workplace(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workplace(tmp_path_factory.mktemp("work place"))


@pytest.mark.filterwarnings("ignore")  # of what Python thinks of malformed inputs
def test_malformed_inputs_are_refused_in_one_line(workplace: Path) -> None:
    cases = list(all_cases())
    assert len(cases) > 500
    sample = random.Random(0).sample(cases, SAMPLE)
    misses = [miss for case in sample if (miss := judge(case, workplace)) is not None]
    assert not misses, "\n".join(map(str, misses))


def test_a_miss_is_noticed(workplace: Path) -> None:
    """Cases that the judge must not let pass."""
    (workplace / "sound.txt").write_text("")

    def writes() -> None:
        (workplace / "written").mkdir()
        raise ValueError("raised here, and not by natrl")

    assert "accepted" in str(judge(Case("sound", "fuzz", ("show", "DARTS")), workplace))
    assert judge(Case("may be taken", "fuzz", ("show", "DARTS"), must_refuse=False), workplace) is None
    assert "raises ValueError" in str(judge(Case("a bug", "fuzz", writes), workplace))
    assert not (workplace / "written").exists()
    assert judge(Case("refused", "fuzz", ("show", "nonsense")), workplace) is None
