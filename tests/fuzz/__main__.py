"""make fuzz: every malformed input, counted; exit code 1 if any is not refused in one line."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

from natrl.tuning.session import ray_session
from tests.fuzz.cases import all_cases
from tests.fuzz.judging import Case, judge, Miss
from tests.fuzz.workplace import make_workplace


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases in whose name this regular expression is found")
    options = parser.parse_args()
    cases = [case for case in all_cases() if re.search(options.only, case.name)]
    with tempfile.TemporaryDirectory(prefix="natrl-fuzz-") as folder, ray_session(num_cpus=4):
        misses = _misses(cases, make_workplace(Path(folder)))
    print(f"{len(cases)} malformed inputs: {len(cases) - len(misses)} refused in one line, {len(misses)} not")
    print(dict(Counter(miss.case.owner for miss in misses)))
    return 1 if misses else 0


def _misses(cases: Sequence[Case], folder: Path) -> list[Miss]:
    found = []
    for case in cases:
        if (miss := judge(case, folder)) is not None:
            print(miss, flush=True)
            found.append(miss)
    return found


if __name__ == "__main__":
    sys.exit(main())
