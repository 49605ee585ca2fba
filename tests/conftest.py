"""What all tests share. The environment is set before anything imports numpy, torch or Ray."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# One thread: sums come out alike on every machine, and tests do not fight with Ray's workers for two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")
os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by default: pytest's other process would starve Ray's workers

import pytest
from hypothesis import settings

from natrl.core import operations, registration
from natrl.core.transitions import transition_matrix
from natrl.spaces import SPACES
from tests.workers.fork import forked_workers

settings.register_profile("natrl", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("natrl")

#: Folders whose files take longest: a process that began one of them last would have the other wait.
LONG = ("docs", "demo", "examples", "tuning")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long comes first (of several processes, each takes the next file: --no-loadscope-reorder)."""
    items.sort(key=lambda item: item.path.relative_to(config.rootpath / "tests").parts[0] not in LONG)


def pytest_collection_finish() -> None:
    """UsageError if a module registers operations where it is imported: they would change networks of other tests."""
    if extra := [*operations.VOCABULARY][len(operations.BUILT_IN) :]:
        raise pytest.UsageError(f"registered while tests were collected: {', '.join(extra)}")


@pytest.fixture(scope="session")
def natrl_data() -> Path:
    """The folder of tables and images that are not part of the project (environment variable NATRL_DATA)."""
    folder = os.environ.get("NATRL_DATA")
    if not folder:
        pytest.skip("NATRL_DATA is not set: it names the folder with nasbench201.csv.gz and CIFAR-10")
    return Path(folder)


@pytest.fixture(scope="session")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Workers of every Ray that tests start in this process are forked, not started."""
    with forked_workers(tmp_path_factory.mktemp("workers")):
        yield


@pytest.fixture(scope="session")
def ray_session(workers: None) -> Iterator[None]:
    """One local Ray with 4 logical CPUs for the whole session (of each pytest process); starting it takes about 3 s."""
    import ray

    from natrl.tuning.session import own_ray_options

    ray.init(address="local", num_cpus=4, num_gpus=0, logging_level="ERROR", log_to_driver=False, **own_ray_options())
    yield
    ray.shutdown()


@pytest.fixture
def forgotten_operations() -> Iterator[None]:
    """What the test registers is unknown again after it."""
    names = ("VOCABULARY", "VOCABULARY_INDEX", "RECORDS", "NAMES_OF")
    known: list[dict[Any, Any]] = [getattr(operations, name) for name in names]
    before, types, kernels = [dict(d) for d in known], list(operations.TYPES), list(operations.KERNELS)
    received = set(registration._RECEIVED)
    yield
    for now, then in zip(known, before, strict=True):
        now.clear()
        now.update(then)
    operations.TYPES[:], operations.KERNELS[:] = types, kernels
    registration._RECEIVED.clear()
    registration._RECEIVED.update(received)
    for forget in (*registration._CACHES, operations.stages.cache_clear, transition_matrix.cache_clear):
        forget()


@pytest.fixture
def forgotten_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test registers as a space is unknown again after it."""
    monkeypatch.setattr(SPACES, "_entries", dict(SPACES._entries))
