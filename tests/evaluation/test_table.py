"""Tables of trained accuracies, the published one and files of one's own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import natrl
from natrl.evaluation import load_table, TableEvaluator
from natrl.evaluation.base import FailedEvaluations

ARCHS = [
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
]


def write(path, **columns):  # type: ignore[no-untyped-def]
    frame = pd.DataFrame({"arch": ARCHS, **columns})
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return str(path)


def test_published_table_holds_the_mean_of_its_training_seeds():
    table = load_table("nasbench201")
    assert len(table) == 15_625
    expected = np.mean([82.09199998291015, 81.61599997314453, 82.24000001464844]) / 100  # digits 421211 of the package
    assert table.evaluate([natrl.parse(ARCHS[0])])[0] == pytest.approx(expected, abs=1e-12)
    other = load_table("nasbench201:cifar100").evaluate([natrl.parse(ARCHS[0])])[0]
    assert other < 0.6


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_files_in_percent_and_as_shares(tmp_path, name):
    archs = [natrl.parse(a) for a in ARCHS]
    percent = load_table(write(tmp_path / name, accuracy=[80.0, 91.5]))
    np.testing.assert_allclose(percent.evaluate(archs), [0.8, 0.915])
    share = load_table(write(tmp_path / name, accuracy=[0.8, 0.915], other=[0.1, 0.2]), "accuracy")
    np.testing.assert_allclose(share.evaluate(archs[::-1]), [0.915, 0.8])


def test_architectures_of_several_topologies_and_any_slot_order():
    darts, vgg = natrl.parse("DARTS"), natrl.parse("VGG")
    table = TableEvaluator({darts: 0.9, vgg: 0.7})
    shuffled = natrl.parse(darts.key)
    assert shuffled != darts
    np.testing.assert_array_equal(table.evaluate([vgg, shuffled]), [0.7, 0.9])


@pytest.mark.parametrize(
    ("columns", "column", "message"),
    [
        ({"a": [1, 2], "b": [3, 4]}, None, "has several columns, name one: a, b"),
        ({"a": [1, 2]}, "b", "has no column 'b': a"),
        ({"a": [1, "x"]}, None, "row 1: a is 'x', not a number"),
        ({"a": [1, 101]}, None, "row 1: a is 101.*, outside 0 to 100"),
        ({"a": [1, None]}, None, "row 1: a is nan, outside 0 to 100"),
        ({"arch": [ARCHS[0], ARCHS[0]], "a": [1, 2]}, None, "row 1: architecture .* is listed twice"),
        ({"arch": [ARCHS[0], "DRATS"], "a": [1, 2]}, None, "row 1: 'DRATS' is no known architecture"),
    ],
)
def test_malformed_files_name_the_row_or_column(tmp_path, columns, column, message):
    path = tmp_path / "table.csv"
    pd.DataFrame({"arch": ARCHS, **columns}).to_csv(path, index=False)
    with pytest.raises(ValueError, match=message):
        load_table(str(path), column)


def test_other_bad_sources(tmp_path):
    with pytest.raises(ValueError, match="no such file; known by name: nasbench201:cifar10"):
        load_table("nowhere.csv")
    with pytest.raises(ValueError, match="has no data set 'mnist'; known: cifar10"):
        load_table("nasbench201:mnist")
    (tmp_path / "t.txt").write_text("arch,a\n")
    with pytest.raises(ValueError, match=r"a table is a \.csv"):
        load_table(str(tmp_path / "t.txt"))
    pd.DataFrame({"architecture": ARCHS, "a": [1, 2]}).to_csv(tmp_path / "t.csv")
    with pytest.raises(ValueError, match="has no column 'arch'; its columns are"):
        load_table(str(tmp_path / "t.csv"))
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        TableEvaluator({natrl.parse("DARTS"): 91.0})
    with pytest.raises(ValueError, match="is empty"):
        TableEvaluator({})


def test_unknown_architectures_are_named_and_the_others_have_their_scores():
    known, other = natrl.parse("DARTS"), natrl.parse("VGG")
    with pytest.raises(FailedEvaluations, match=r"normal: null:0>2.* is not in table 'mine'") as caught:
        TableEvaluator({known: 0.5}, "mine").evaluate([other, known])
    assert list(caught.value.failures) == [other.key]
    np.testing.assert_array_equal(caught.value.scores, [np.nan, 0.5])
