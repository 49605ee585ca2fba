"""NAS-Bench-Macro is trained by `natrl train` as a user would, on a table that holds half of its architectures."""

from __future__ import annotations

import shutil
from pathlib import Path
from subprocess import CompletedProcess

from tests.machines import joining
from tests.workers.programs import run_program

EXAMPLE = Path(__file__).parents[2] / "examples" / "nasbench_macro.py"
#: The accuracies are a formula, so that it is known which architecture is best: no published ones are needed here.
TABLE = """
import random
from nasbench_macro import SPACE
architectures = list(SPACE.architectures())
assert len(architectures) == 6561
worth = {"mb6_5x5": 0.03, "mb3_3x3": 0.05, "skip_connect": 0.0}
random.Random(0).shuffle(architectures)
with open("half.csv", "w") as table:
    table.write("arch,accuracy\\n")
    for a in architectures[:3280]:
        table.write(f"{a.key},{0.5 + sum(map(worth.get, a.operations)):.3f}\\n")
"""
TRANSFORM = """
import natrl
from nasbench_macro import SPACE
policy = natrl.load_policy("run", space=SPACE)
dear = SPACE.sample(__import__("numpy").random.default_rng(0)).with_operations(["mb6_5x5"] * 8)
print(sum(op == "mb3_3x3" for op in policy.transform_batch([dear])[0].operations))
"""


def test_half_of_the_space_is_enough_to_learn_what_to_replace(ray_session: None, tmp_path: Path) -> None:
    """In processes of their own, which join the Ray of the tests: 20 to 30 s."""
    shutil.copy(EXAMPLE, tmp_path)

    def run(*arguments: str) -> CompletedProcess[str]:
        done = run_program(arguments, tmp_path, {**joining(), "PYTHONPATH": ""})
        assert done.returncode == 0, done.stderr[-2000:]
        return done

    run("-c", TABLE)
    train = ("train", "--space", "nasbench_macro:SPACE", "--reward", "table:half.csv", "--out", "run")
    size = ("--iterations", "30", "--batch-size", "128", "--entropy", "0.02")
    done = run("-m", "natrl", *train, *size)
    assert "the table holds 3280 live architectures, not all of space nasbench_macro" in done.stderr
    changed = int(run("-c", TRANSFORM).stdout)
    assert changed >= 6, "mb3_3x3 is worth more than mb6_5x5 in each of the eight layers"
