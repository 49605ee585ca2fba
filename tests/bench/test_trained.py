"""Tables with a signal for methods and a report for nobody but the reporter."""

from __future__ import annotations

import pickle
import struct

import numpy as np
import pandas as pd
import pytest

import natrl
from natrl.bench.trained import file_tables, published_tables, TrainedTable
from natrl.evaluation import CachedEvaluator, TableEvaluator
from natrl.evaluation.queries import BudgetExceeded, LimitedEvaluator
from natrl.evaluation.table import nasbench201_accuracies

SPACE = natrl.space("nasbench201")
ALL = list(SPACE.architectures())
SECRET = 0.123456789012345


def table(**changes):
    """Signal rises with the number of convolutions; the report is another function of the operations."""
    signal = {a: 0.1 + 0.1 * sum(op.startswith("conv") for op in a.operations) for a in ALL}
    report = {a: 0.2 + 0.1 * sum(op == "skip_connect" for op in a.operations) for a in ALL}
    return TrainedTable(**{"data_set": "tiny", "signal": signal, "report": report, **changes})


def archs(text: str) -> natrl.Architecture:
    return natrl.core.genotypes.nasbench201_architecture(text)


def test_methods_see_the_signal_and_the_reporter_the_report():
    tiny = table()
    before = [archs("333333"), archs("111333")]
    np.testing.assert_allclose(tiny.evaluator().evaluate(before), [0.7, 0.4])
    after = [archs("111111"), archs("111000")]
    reporter = tiny.reporter()
    # gains 0.6 and 0.0 of the report; six skips are the best that can be reached from both, 0.6 and 0.3 away
    assert reporter.capture(before, after) == pytest.approx(0.6 / 0.9)
    assert reporter.capture(before, before) == 0
    assert reporter.worse_share(after, before) == 0.5
    assert reporter.worse_share(before, after) == 0


def test_capture_counts_what_the_rule_reaches():
    tiny = table(report={a: 0.5 + 0.08 * (a.operations[0] == "conv_1x1") for a in ALL})
    before, after = [archs("333333")], [archs("233333")]
    assert tiny.reporter().capture(before, after, rule="nat++") == pytest.approx(1)
    assert np.isnan(tiny.reporter().capture(before, before, rule="nat"))  # no convolution of another kernel there


def test_capture_is_what_brute_force_says():
    rng = np.random.default_rng(0)
    report = {a: float(v) for a, v in zip(ALL, rng.random(len(ALL)), strict=True)}
    before = [ALL[i] for i in rng.choice(len(ALL), 6, replace=False)]
    after = [SPACE.sample(rng) for _ in before]
    masks = SPACE.batch_masks(before)
    column = {name: k for k, name in enumerate(SPACE.primitives)}
    operations = np.array([[column[op] for op in a.operations] for a in ALL])
    values = np.array(list(report.values()))
    best = [values[mask[np.arange(6), operations].all(-1)].max() for mask in masks]
    expected = sum(report[a] - report[b] for b, a in zip(before, after, strict=True)) / sum(
        v - report[b] for b, v in zip(before, best, strict=True)
    )
    assert table(report=report).reporter().capture(before, after) == pytest.approx(expected)


def test_worse_means_by_more_than_a_fifth_of_a_point():
    report = dict.fromkeys(ALL, 0.9) | {archs("000001"): 0.8979, archs("000002"): 0.8981}
    reporter = table(report=report).reporter()
    assert reporter.worse_share([archs("333333")] * 2, [archs("000001"), archs("000002")]) == 0.5


def test_a_method_that_asks_for_the_report_gets_an_error():
    tiny = table()
    with tiny.sealed():
        with pytest.raises(PermissionError, match="the report of 'tiny' is sealed while a method runs"):
            tiny.reporter()
        with tiny.sealed(), pytest.raises(PermissionError):
            tiny.reporter()
        with pytest.raises(PermissionError):
            tiny.reporter()
        assert tiny.evaluator().evaluate([ALL[0]]) == [0.1]
    with pytest.raises(RuntimeError, match="fails"), tiny.sealed():
        raise RuntimeError("a method fails")
    assert tiny.reporter().capture(ALL[:1], ALL[:1]) == 0


def test_nothing_of_the_report_is_in_what_a_method_is_handed():
    tiny = table(report=dict.fromkeys(ALL, SECRET))
    for handed in (tiny.evaluator(), LimitedEvaluator(tiny.evaluator(), 10)):
        everything = pickle.dumps(handed)
        assert struct.pack(">d", 0.1 + 0.1 * 6) in everything  # a signal value: this is how floats are pickled
        assert struct.pack(">d", SECRET) not in everything


def test_both_sides_hold_the_whole_space():
    for side in ("signal", "report"):
        part = dict.fromkeys(ALL[:-1], 0.5)
        with pytest.raises(ValueError, match=f"{side} of 'tiny': 15624 of 15625 architectures, cell.* is missing"):
            table(**{side: part})
        strange = {**dict.fromkeys(ALL, 0.5), natrl.parse("VGG"): 0.5}
        with pytest.raises(ValueError, match=f"{side} of 'tiny': normal: .* is not an architecture of space"):
            table(**{side: strange})


def test_published_signal_is_one_training_seed_and_the_report_the_others():
    (cifar100,) = published_tables(["cifar100"])
    accuracies = nasbench201_accuracies("cifar100")
    three, two = (next(a for a, v in accuracies.items() if len(v) == n) for n in (3, 2))
    for a in (three, two):
        first, *others = accuracies[a]
        assert cifar100.evaluator().evaluate([a])[0] == first
        other = max(accuracies, key=lambda b: np.mean(accuracies[b][1:]))
        best = np.mean(accuracies[other][1:])
        gain = cifar100.reporter().capture([other, a], [other, a])
        assert gain == 0
        assert cifar100.reporter().worse_share([other], [a]) == (best - np.mean(others) > 0.002)
    with pytest.raises(ValueError, match="has no data set 'mnist'; known: cifar10, cifar100, imagenet16"):
        published_tables(["cifar10", "mnist"])


def test_published_architectures_with_a_single_seed_cannot_be_reported(monkeypatch):
    monkeypatch.setattr("natrl.bench.trained.nasbench201_accuracies", lambda data: {ALL[0]: (0.5, 0.6), ALL[1]: (0.5,)})
    with pytest.raises(ValueError, match=r"table 'nasbench201', cifar10: cell.* has a single training seed"):
        published_tables(["cifar10"])


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "arch": [a.key for a in ALL],
            "a_val": rng.uniform(0, 100, len(ALL)),
            "a_test": rng.uniform(0, 100, len(ALL)),
            "b_test": rng.uniform(0, 1, len(ALL)),
        }
    )


def test_files_give_a_table_for_each_report_column(tmp_path, frame):
    frame.sample(frac=1, random_state=0).to_parquet(path := tmp_path / "t.parquet")
    first, second = file_tables(path, ["a_val"], ["a_test", "b_test"])
    assert (first.data_set, second.data_set) == ("a", "b")
    assert first.signal_name == second.signal_name == "a_val"
    for t in (first, second):
        np.testing.assert_allclose(t.evaluator().evaluate(ALL[:50]), frame["a_val"][:50] / 100)
    b_test = dict(zip(ALL, frame["b_test"], strict=True))
    worse = np.mean([b_test[ALL[i]] - b_test[ALL[i + 100]] > 0.002 for i in range(100)])
    assert second.reporter().worse_share(ALL[:100], ALL[100:200]) == pytest.approx(worse)


def test_data_sets_keep_different_names(tmp_path, frame):
    frame.to_parquet(path := tmp_path / "t.parquet")
    tables = file_tables(path, ["b_test"], ["a_val", "a_test"])
    assert [t.data_set for t in tables] == ["a_val", "a_test"]


def spoiled(frame: pd.DataFrame, column: str, value: object, row: int = 7) -> pd.DataFrame:
    wrong = frame.astype({column: object})
    wrong.loc[row, column] = value
    return wrong


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="a_test"), "has no column 'a_test': a_val, b_test"),
        (lambda f: f.drop(columns="arch"), "has no column 'arch'; its columns are a_val, a_test, b_test"),
        (lambda f: spoiled(f, "a_test", "high"), "row 7: a_test is 'high', not a number"),
        (lambda f: spoiled(f, "a_val", 100.5), "row 7: a_val is 100.5, outside 0 to 100"),
        (lambda f: spoiled(f, "a_val", -1), "row 7: a_val is -1.0, outside 0 to 100"),
        (lambda f: spoiled(f, "a_val", None), "row 7: a_val is nan, outside 0 to 100"),
        (lambda f: spoiled(f, "arch", f["arch"][3]), "row 7: architecture cell.* is listed twice"),
        (lambda f: spoiled(f, "arch", "DRATS"), "row 7: 'DRATS' is no known architecture"),
        (lambda f: spoiled(f, "arch", None), "row 7: 'nan' is no known architecture"),
        (lambda f: spoiled(f, "arch", "VGG"), "row 7: space 'nasbench201' has one cell of 6 slots"),
        (lambda f: f[:-1], "signal of 'a': 15624 of 15625 architectures, cell.* is missing"),
    ],
)
def test_malformed_files_name_the_row_or_column(tmp_path, frame, change, message):
    change(frame).to_csv(path := tmp_path / "t.csv", index=False)
    with pytest.raises(ValueError, match=message):
        file_tables(path, ["a_val"], ["a_test"])


def test_signal_and_report_columns_must_fit_each_other(tmp_path, frame):
    frame.to_parquet(path := tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="2 signal and 1 report columns: give as many, or a single signal"):
        file_tables(path, ["a_val", "b_test"], ["a_test"])
    with pytest.raises(ValueError, match="0 signal and 1 report columns"):
        file_tables(path, [], ["a_test"])
    with pytest.raises(ValueError, match="column 'a_val' is both signal and report"):
        file_tables(path, ["a_val"], ["a_test", "a_val"])


def test_a_budget_counts_different_architectures_and_is_never_exceeded():
    budgeted = LimitedEvaluator(table().evaluator(), 5)
    budgeted.evaluate([ALL[0], ALL[1], ALL[0]])
    budgeted.evaluate(ALL[:2])
    assert (budgeted.evaluations, budgeted.remaining, budgeted.unseen(ALL[1:4])) == (2, 3, 2)
    with pytest.raises(BudgetExceeded, match="4 new architectures asked for, 3 of 5 evaluations are left"):
        budgeted.evaluate(ALL[:6])
    assert budgeted.evaluations == 2
    budgeted.evaluate(ALL[:5])
    assert budgeted.remaining == 0
    np.testing.assert_array_equal(budgeted.evaluate(ALL[:5]), table().evaluator().evaluate(ALL[:5]))
    with pytest.raises(BudgetExceeded):
        budgeted.evaluate([ALL[9]])
    with pytest.raises(ValueError, match="a budget holds at least 1 evaluation, got 0"):
        LimitedEvaluator(table().evaluator(), 0)


def test_a_new_version_has_to_be_paid_for_again():
    class Moving(TableEvaluator):
        version = 0

    moving = Moving(dict.fromkeys(ALL[:4], 0.5))
    budgeted = LimitedEvaluator(moving, 4)
    budgeted.evaluate(ALL[:3])
    moving.version = 1
    assert budgeted.unseen(ALL[:3]) == 3
    with pytest.raises(BudgetExceeded):
        budgeted.evaluate(ALL[:3])
    assert isinstance(budgeted, CachedEvaluator)  # environments use it as it is, and count what it counts
