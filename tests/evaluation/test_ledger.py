"""The ledger: every evaluation once, whoever asks, and nothing that was written is lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import natrl
from natrl.data import Augmentation, load_data
from natrl.evaluation import Evaluator, FailedEvaluations, TableEvaluator
from natrl.evaluation.ledger import file as ledger_module
from natrl.evaluation.ledger.file import LEASE_S, Ledger, LedgerError, Paid, read_ledger, settings_text
from natrl.evaluation.ledger.paid import LedgerEvaluator, RecordingEvaluator
from natrl.evaluation.scratch import ScratchEvaluator
from natrl.spaces import Skeleton
from natrl.training.schedule import Schedule

ARCHS = [natrl.space("nasbench201").sample(np.random.default_rng(i)) for i in range(20)]
S = settings_text({"kind": "noise"})


class Noise(Evaluator):
    """A different score each time: paying twice would show."""

    def __init__(self, poison: str = "", seconds: float = 0.0) -> None:
        self.rng = np.random.default_rng()
        self.poison, self.seconds = poison, seconds
        self.asked: list[str] = []

    def settings(self):
        return {"kind": "noise", "metric": "accuracy"}

    def evaluate(self, architectures):
        scores = self.rng.random(len(architectures))
        for i, a in enumerate(architectures):
            self.asked.append(a.key)
            time.sleep(self.seconds)
            if a.key == self.poison:
                scores[i] = np.nan
        if np.isnan(scores).any():
            raise FailedEvaluations({self.poison: "failed 3 times: no memory"}, scores)
        return scores


def paying(ledger, **arguments):
    return LedgerEvaluator(RecordingEvaluator(Noise(**arguments), ledger), ledger)


def test_what_is_known_is_not_evaluated_again(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    first = paying(ledger)
    scores = first.evaluate(ARCHS[:12])
    ledger.close()
    again = Ledger(tmp_path / "ledger.db")
    second = paying(again)
    np.testing.assert_array_equal(second.evaluate(ARCHS[4:16])[:8], scores[4:])
    assert second.inner.inner.asked == [a.key for a in ARCHS[12:16]]
    assert second.statistics()["ledger_hits"] == 8
    frame = read_ledger(tmp_path / "ledger.db")  # while it is open
    assert sorted(frame.architecture) == sorted(a.key for a in ARCHS[:16])
    assert (frame.paid == 1).all()
    assert (frame.kind == "noise").all()
    assert frame["score"].between(0, 1).all()
    again.close()


def test_an_actor_does_not_pay_for_what_one_before_it_has_stored(tmp_path):
    """It died between storing and answering: whoever is asked again finds the score."""
    ledger = Ledger(tmp_path / "ledger.db")
    first, second = (RecordingEvaluator(Noise(), ledger, chunk=chunk) for chunk in (1, 8))
    scores = first.evaluate(ARCHS[:3])
    np.testing.assert_array_equal(second.evaluate(ARCHS[2:6])[:1], scores[2:])
    assert second.inner.asked == [a.key for a in ARCHS[3:6]]
    np.testing.assert_array_equal(second.evaluate(ARCHS[:3]), scores)
    assert (read_ledger(ledger.path).paid == 1).all()
    ledger.close()


def test_a_failure_is_not_stored_and_the_others_are(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    evaluator = paying(ledger, poison=ARCHS[3].key)
    with pytest.raises(FailedEvaluations, match="no memory") as raised:
        evaluator.evaluate(ARCHS[:6])
    assert set(raised.value.failures) == {ARCHS[3].key}
    assert np.isnan(raised.value.scores).tolist() == [False, False, False, True, False, False]
    stored = ledger.known(settings_text(evaluator.settings()), [a.key for a in ARCHS])
    assert stored.keys() == {a.key for i, a in enumerate(ARCHS[:6]) if i != 3}
    assert not ledger._claims
    ledger.close()


def test_a_second_payment_is_counted_and_a_repeated_call_is_not(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.put(S, [Paid("a", 0.5, 1.0)], payment="one")
    ledger.put(S, [Paid("a", 0.5, 1.0)], payment="one")
    assert list(read_ledger(ledger.path).paid) == [1]
    ledger.put(S, [Paid("a", 0.7, 1.0), Paid("b", 0.1, 1.0)])
    frame = read_ledger(ledger.path).set_index("architecture")
    assert frame.paid.to_dict() == {"a": 2, "b": 1}
    assert frame["score"].to_dict() == {"a": 0.5, "b": 0.1}
    assert ledger.known(settings_text({"kind": "noise", "seed": 1}), ["a"]) == {}
    ledger.close()


def test_claims_belong_to_one_and_end_with_the_lease(tmp_path):
    now = [0.0]
    ledger = Ledger(tmp_path / "ledger.db", clock=lambda: now[0])
    assert ledger.claim(S, ["a", "b"], "one") == ({}, ["a", "b"])
    assert ledger.claim(S, ["a", "b", "c"], "two") == ({}, ["c"])
    ledger.put(S, [Paid("a", 0.5, 1.0)])
    assert ledger.claim(S, ["a", "b"], "two") == ({"a": 0.5}, [])
    now[0] = LEASE_S
    ledger.renew(S, ["b"], "one")
    ledger.renew(S, ["b"], "two")  # not theirs
    now[0] = LEASE_S + 1
    assert ledger.claim(S, ["b", "c"], "three") == ({}, ["c"])
    ledger.release(S, ["b"], "two")  # nor this
    assert ledger.claim(S, ["b"], "three") == ({}, [])
    ledger.release(S, ["b"], "one")
    assert ledger.claim(S, ["b"], "three") == ({}, ["b"])
    ledger.close()


WRITER = """
import sys
from natrl.evaluation.ledger import file as ledger_module
from natrl.evaluation.ledger.file import Ledger, Paid
ledger_module.is_on_network = lambda path: sys.argv[3] == "True"
ledger = Ledger(sys.argv[1])
for i in range(10**9):
    ledger.put("{}", [Paid(f"{sys.argv[2]}-{i}-{j}", 0.5, 1.0) for j in range(1 + i % 40)])
    print(i, flush=True)
"""


@pytest.mark.parametrize("network", [False, True])
def test_sigkill_while_it_writes_loses_nothing_that_was_acknowledged(tmp_path, monkeypatch, network):
    """Three kills at random moments, a second each: the writer is a process of its own."""
    monkeypatch.setattr(ledger_module, "is_on_network", lambda path: network)
    path, rng = tmp_path / "ledger.db", random.Random(0)
    for life in range(3):
        command = [sys.executable, "-c", WRITER, str(path), str(life), str(network)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "0\n"
            time.sleep(rng.random() * 0.2)
            os.kill(writer.pid, signal.SIGKILL)
            acknowledged = 1 + max(map(int, writer.stdout.read().split()), default=0)
        assert len(read_ledger(path))  # before anybody opens it to write
        ledger = Ledger(path)
        assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("truncate" if network else "wal",)
        assert ledger._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        written = Counter(tuple(map(int, key.split("-")[:2])) for key in read_ledger(path).architecture)
        mine = {i: n for (number, i), n in written.items() if number == life}
        assert len(mine) in (acknowledged, acknowledged + 1)
        assert all(n == 1 + i % 40 for i, n in mine.items()), "a write came through in part"
        ledger.close()


@pytest.mark.parametrize("damage", ["cut", "garbled"])
def test_a_torn_last_record_is_passed_over(tmp_path, damage):
    """A copy of the files while the log has not been folded in, its tail destroyed."""
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.put(S, [Paid("a", 0.25, 1.0)])
    before = (tmp_path / "ledger.db-wal").stat().st_size
    ledger.put(S, [Paid("b", 0.5, 1.0)])
    for suffix in ("", "-wal"):
        shutil.copy(tmp_path / f"ledger.db{suffix}", tmp_path / f"torn.db{suffix}")
    ledger.close()
    log = (tmp_path / "torn.db-wal").read_bytes()
    assert len(log) > before + 100
    half = (before + len(log)) // 2
    (tmp_path / "torn.db-wal").write_bytes(log[:half] + (b"\x07" * (len(log) - half) if damage == "garbled" else b""))
    torn = Ledger(tmp_path / "torn.db")
    assert torn.known(S, ["a", "b"]) == {"a": 0.25}
    torn.put(S, [Paid("b", 0.75, 1.0)])
    assert torn.known(S, ["a", "b"]) == {"a": 0.25, "b": 0.75}
    torn.close()


def test_a_full_disk_is_one_line_and_harms_nothing(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.put(S, [Paid("a", 0.25, 1.0)])
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match=r"^ledger .*ledger\.db: database or disk is full$"):
        ledger.put(S, [Paid(f"key {i}", 0.5, 1.0) for i in range(1000)])
    assert list(read_ledger(ledger.path).architecture) == ["a"]
    ledger._db.execute("PRAGMA max_page_count = 1000000")
    ledger.put(S, [Paid("b", 0.5, 1.0)])
    assert ledger.known(S, ["a", "b"]) == {"a": 0.25, "b": 0.5}
    ledger.close()


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at by SQLite " * 20)
    for open_ in (Ledger, read_ledger):
        with pytest.raises(ValueError, match=r"text\.db is not a ledger of evaluations"):
            open_(tmp_path / "text.db")
    ledger = Ledger(tmp_path / "newer.db")
    ledger._db.execute("PRAGMA user_version = 7")
    ledger.close()
    for open_ in (Ledger, read_ledger):
        with pytest.raises(ValueError, match="is a ledger of version 7; this natrl reads version 1"):
            open_(tmp_path / "newer.db")
    with pytest.raises(ValueError, match="no such file"):
        read_ledger(tmp_path / "none.db")
    with pytest.raises(LedgerError, match="unable to open database file"):
        Ledger(tmp_path / "no" / "folder.db")


def test_settings_tell_apart_what_gives_other_scores():
    skeleton = Skeleton(channels=2, cells=3, image_size=8, image_channels=1)
    short = Schedule(epochs=1, batch_size=64)
    data = load_data("digits")
    evaluators = [
        ScratchEvaluator(skeleton, data, short),
        ScratchEvaluator(skeleton, data, "quick"),
        ScratchEvaluator(skeleton, data, short, seeds=(0, 1)),
        ScratchEvaluator(skeleton, data, short, metric="cross_entropy"),
        ScratchEvaluator(skeleton, data, short, data_seed=1),
        ScratchEvaluator(skeleton, data, short, bf16=True),
        ScratchEvaluator(Skeleton(channels=4, cells=3, image_size=8, image_channels=1), data, short),
        ScratchEvaluator(skeleton, load_data("digits", image_size=16), short),
        ScratchEvaluator(skeleton, load_data("digits", seed=3), short),
        ScratchEvaluator(skeleton, replace(data, augmentation=Augmentation(padding=1)), short),
        TableEvaluator({ARCHS[0]: 0.5}, "other"),
        TableEvaluator({ARCHS[0]: 0.5}),
        TableEvaluator({ARCHS[0]: 0.6}),
    ]
    texts = [settings_text(e.settings()) for e in evaluators]
    assert len(set(texts)) == len(texts)
    assert settings_text(ScratchEvaluator(skeleton, "digits", short).settings()) == texts[0]
    assert settings_text(TableEvaluator({ARCHS[0]: 0.5}).settings()) == texts[-2]
    cpu = ScratchEvaluator(skeleton, data, short, device="cpu").settings()
    assert cpu == ScratchEvaluator(skeleton, data, short, device="cpu", bf16=False).settings(), "as it is resolved"
    assert cpu == ScratchEvaluator(skeleton, replace(data, test=data.validation), short, device="cpu").settings()


def test_scores_stored_under_settings_of_before_are_not_taken_for_others(tmp_path):
    """What natrl 0.1's first ledgers knew of a table was its name and 16 digits."""
    table = TableEvaluator({ARCHS[0]: 0.5})
    ledger = Ledger(tmp_path / "ledger.db")
    before = {"kind": "table", "data": "table", "metric": "accuracy", "content": table.settings()["content"][:16]}
    ledger.put(settings_text(before), [Paid(ARCHS[0].key, 0.9, 1.0)])
    assert LedgerEvaluator(RecordingEvaluator(table, ledger), ledger).evaluate(ARCHS[:1]) == [0.5]
    assert sorted(read_ledger(ledger.path)["score"]) == [0.5, 0.9]
    ledger.close()


def test_what_json_has_no_form_for_counts_by_its_digest():
    texts = [
        settings_text({"score": score, "at": np.arange(n)})
        for score, n in ((lambda a: 1, 3), (lambda a: 2, 3), (lambda a: 1, 4), (lambda a: 1, 3))
    ]
    assert texts[0] == texts[3]
    assert len(set(texts)) == 3
    for bad in ({"score": float("nan")}, {"lock": threading.Lock()}, {(1, 2): 3}, {1: 2}, 3, [], "text"):
        with pytest.raises(ValueError, match="settings of an evaluator cannot name its scores in a ledger") as caught:
            settings_text(bad)
        assert "\n" not in str(caught.value)


def test_scores_that_change_cannot_be_kept(tmp_path):
    class Plain(Evaluator):
        def evaluate(self, architectures):
            return np.zeros(len(architectures))

    ledger = Ledger(tmp_path / "ledger.db")
    with pytest.raises(ValueError, match="scores of Plain may change, so a ledger cannot keep them"):
        LedgerEvaluator(Plain(), ledger)
    ledger.close()


def test_trials_share_a_ledger_and_pay_once(ray_session, tmp_path):
    """Two that ask for the same at the same time; then the ledger's actor dies. Three seconds, mostly waiting."""
    import ray

    from natrl.evaluation.ledger.shared import serve_ledger, SharedLedger

    with serve_ledger(tmp_path / "ledger.db") as ledger:
        trials = [paying(SharedLedger(ledger.path), seconds=0.05) for _ in range(2)]
        results: dict[int, np.ndarray] = {}
        order = [ARCHS, ARCHS[::-1]]

        def search(i):
            for start in range(0, 20, 5):
                scores = trials[i].evaluate(order[i][start : start + 5])
                results[i] = np.concatenate([results.get(i, np.empty(0)), scores])

        threads = [threading.Thread(target=search, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ray.kill(ledger._actor)
        late = paying(SharedLedger(ledger.path))
        np.testing.assert_array_equal(late.evaluate(ARCHS), results[0])
        assert late.hits == 20
    np.testing.assert_array_equal(results[0], results[1][::-1])
    assert (read_ledger(tmp_path / "ledger.db").paid == 1).all()
    asked = Counter(key for trial in trials for key in trial.inner.inner.asked)
    assert asked == Counter(a.key for a in ARCHS)
    assert all(trial.inner.inner.asked for trial in trials)
