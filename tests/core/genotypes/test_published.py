"""Genotypes as repositories publish them: a whole genotypes.py, and what its architectures cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from natrl.core.genotypes import parse, zoo
from natrl.spaces import network_cost, Skeleton
from tests.core.genotypes.published import PUBLISHED, SOURCE

NAMES = ["NASNet", "AmoebaNet", "DARTS_V2", "SNAS", "GDAS_V1", "GDAS_weights", "GDAS_F1", "PDARTS", "PC_DARTS_cifar"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "genotypes.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize(("name", "params", "madds"), [(name, *counts) for name, counts in PUBLISHED.items()])
def test_costs_are_the_published_ones(name: str, params: float, madds: float, file: Path) -> None:
    """Some repositories round and some cut off, and some count average pooling among the MAdds."""
    cost = network_cost(parse(f"{file}:{name}"), Skeleton(channels=36, cells=20))
    assert cost.params / 1e6 == pytest.approx(params, abs=0.01)
    assert cost.madds / 1e6 == pytest.approx(madds, rel=0.01)


def test_names_are_chosen(file: Path) -> None:
    assert parse(f"{file}:DARTS_V2") == parse(f"{file}:DARTS") == zoo()["DARTS"]
    assert parse(f"{file}:GDAS_weights") == parse(f"{file}:GDAS_V1"), "weights of the search do not count"
    assert "conv_1x7_7x1:0>6" in parse(f"{file}:AmoebaNet").key  # 1×7, then 7×1


def test_a_line_chooses_too(file: Path) -> None:
    line = 1 + SOURCE[: SOURCE.index("PDARTS =")].count("\n")
    assert parse(f"{file}:{line}") == parse(f"{file}:PDARTS")


def test_several_are_refused_with_their_names(file: Path) -> None:
    with pytest.raises(ValueError, match=r"genotypes\.py holds 11 architectures: ") as error:
        parse(file)
    assert ", ".join(NAMES) in str(error.value)
    assert str(error.value).endswith(f"choose one, such as {file}:NASNet")


def test_a_name_that_is_not_there_lists_those_that_are(file: Path) -> None:
    with pytest.raises(ValueError, match=r"genotypes\.py has no architecture 'DARTS_V3'; it has: NASNet, AmoebaNet"):
        parse(f"{file}:DARTS_V3")
    with pytest.raises(ValueError, match=r"genotypes\.py has no architecture 'OLD'"):  # a comment
        parse(f"{file}:OLD")


def test_half_a_genotype_is_refused(file: Path) -> None:
    with pytest.raises(ValueError, match="cell 'reduce': expected a list of slots, got None"):
        parse(f"{file}:GDAS_F1")


def test_an_empty_node_is_left_out_with_what_reads_it(file: Path) -> None:
    normal, _ = parse(f"{file}:FairDARTS_c").key.split(" ; ")
    assert normal == (
        "normal: max_pool_3x3:0>2 sep_conv_5x5:1>2 dil_conv_3x3:0>3 dil_conv_5x5:2>3 sep_conv_3x3:0>4 | concat 2 3 4"
    )
