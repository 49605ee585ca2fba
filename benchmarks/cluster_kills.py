"""A run of 4 actors with a ledger, killed (SIGKILL) at random moments: what is left, and what was paid for twice.

100 kills, 85 of an actor, 15 of driver and Ray. Every evaluation writes its own log when it is paid for, just before
the ledger: nothing may be there twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from _machines import architectures, one_machine, score, Sleeper
from _options import number, Parser, run
from _rows import print_row

from natrl.checks.fields import Count, Steps
from natrl.evaluation import Evaluator
from natrl.evaluation.ledger.file import read_ledger
from natrl.evaluation.ledger.paid import LedgerEvaluator, RecordingEvaluator
from natrl.evaluation.ledger.shared import serve_ledger
from natrl.evaluation.pool.evaluator import PoolEvaluator


def drive(folder: Path, evaluations: int) -> None:
    """The driver that is killed: evaluates by a pool behind a ledger, until all is done."""
    archs = architectures(evaluations)
    seconds = dict.fromkeys((a.key for a in archs), 0.3)
    with one_machine(num_cpus=4), serve_ledger(folder / "ledger.db") as ledger:

        def build() -> Evaluator:
            return RecordingEvaluator(Sleeper(seconds, str(folder / "log")), ledger)

        pool = PoolEvaluator(build, actors=4, max_attempts=20)
        LedgerEvaluator(pool, ledger).evaluate(archs)
        pool.close()


def kills(number: int, drivers: int, evaluations: int) -> None:
    """Kills at random moments until all is done, `number` times at most."""
    rng = random.Random()
    acts = ["driver"] * drivers + ["actor"] * (number - drivers)
    rng.shuffle(acts)
    with tempfile.TemporaryDirectory() as name:
        folder, log = Path(name), Path(name) / "log"
        log.touch()
        start, made = time.perf_counter(), Counter()
        driver = start_driver(folder, evaluations)
        while acts and driver.poll() is None:
            lines = log.read_text().splitlines()
            time.sleep(rng.expovariate(1 / 0.8))
            fresh = [json.loads(line)[1] for line in log.read_text().splitlines()[len(lines) :]]
            if not fresh:
                continue  # it is still starting
            act = acts.pop()
            made[act] += 1
            if act == "actor":
                kill_quietly(rng.choice(fresh))
            else:
                os.killpg(driver.pid, signal.SIGKILL)  # Ray's processes are in the driver's session
                driver.wait()
                driver = start_driver(folder, evaluations)
        assert driver.wait() == 0, "the last driver failed"
        measured = time.perf_counter() - start
        frame = read_ledger(folder / "ledger.db")
        done = Counter(json.loads(line)[0] for line in log.read_text().splitlines())
    archs = architectures(evaluations)
    stored = dict(zip(frame.architecture, frame["score"], strict=True))
    assert stored == {a.key: score(a) for a in archs}, "the ledger is not whole"
    print_row(
        "cluster/kills",
        actors_killed=made["actor"],
        drivers_killed=made["driver"],
        evaluations=len(archs),
        paid_twice=sum(n > 1 for n in done.values()),
        paid_twice_by_ledger=int((frame.paid > 1).sum()),
        seconds=measured,
    )


def start_driver(folder: Path, evaluations: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--drive", str(folder), "--evaluations", str(evaluations)]
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)


def kill_quietly(pid: int) -> None:
    with suppress(ProcessLookupError):  # it died of an earlier one
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--number", type=number(Steps), default=100, help="of kills")
    parser.add_argument("--drivers", type=number(Steps), default=15, help="of those, of the driver")
    parser.add_argument("--evaluations", type=number(Count), default=2000)
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive is not None:
        drive(arguments.drive, arguments.evaluations)
    else:
        kills(arguments.number, arguments.drivers, arguments.evaluations)


if __name__ == "__main__":
    run(main)
