"""GPU scheduling without GPUs: a Ray of its own, in a process of its own, declares four. Takes fifteen seconds."""

from __future__ import annotations

import json
import os
from collections import Counter

from tests.workers.programs import run_program

SCRIPT = """
import json, os, sys, time
import numpy as np
import ray

import natrl
from natrl.evaluation import Evaluator
from natrl.evaluation.pool.evaluator import PoolEvaluator

class OnGpu(Evaluator):
    '''Logs which GPU it was given, and when it was busy.'''

    def __init__(self, log=sys.argv[1]):
        self.log = log

    def evaluate(self, architectures):
        start = time.time()
        time.sleep(0.3)
        visible = os.environ["CUDA_VISIBLE_DEVICES"]
        with open(self.log, "a") as file:
            file.write(json.dumps([os.getpid(), ray.get_gpu_ids(), visible, start, time.time()]) + "\\n")
        return np.zeros(len(architectures))

ray.init(address="local", num_cpus=1, num_gpus=4, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
archs = [natrl.space("nasbench201").sample(np.random.default_rng(i)) for i in range(40)]
pool = PoolEvaluator(OnGpu, actors=18, num_cpus=0, num_gpus=0.25)
while pool.statistics()["actors"] < 16:
    pool.evaluate(archs[:1])
pool.evaluate(archs)
time.sleep(1)  # the other two would have started by now
pool.evaluate(archs)
print("actors, free GPUs:", [pool.statistics()["actors"], ray.available_resources().get("GPU", 0)])
pool.close()
try:
    PoolEvaluator(OnGpu, actors=1, num_gpus=5)
except ValueError as error:
    print(error)
"""


def test_sixteen_evaluators_share_four_gpus_and_no_more_start(workers, tmp_path):
    done = run_program(["-c", SCRIPT, str(tmp_path / "log")], tmp_path, os.environ)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()  # Ray prints between them
    assert "actors, free GPUs: [16, 0]" in [line.replace(".0", "") for line in lines]
    assert "1 evaluator actors with 5 GPU each need 5 GPUs; this Ray has 4" in lines
    rows = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    gpus = {pid: (*given, visible) for pid, given, visible, *_ in rows}
    assert len(gpus) == 16
    assert Counter(gpus.values()) == {(gpu, str(gpu)): 4 for gpu in range(4)}
    starts = [row[3] for row in rows]
    busy = [sum(start <= at < end for *_, start, end in rows) for at in starts]
    assert max(busy) <= 16
