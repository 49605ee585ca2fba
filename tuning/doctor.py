"""What a machine offers natrl, and what is wrong with it: versions, devices, Ray, disk."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from natrl.tuning.session import ray_session

__all__ = ["Diagnosis", "diagnose"]

LEAST_DISK_GB = 5.0  # checkpoints of a sweep and Ray's logs
LEAST_FILES = 1024  # a driver with many actors holds some connections to each
LEAST_SHM_SHARE = 0.3  # of the memory: what Ray takes for its object store
GB = 1e9


@dataclass(frozen=True)
class Diagnosis:
    """Tables of what is there, and one line for each thing that is wrong, with what would be right."""

    versions: dict[str, str]  # "python", then each requirement and installed extra; "missing" where it is
    devices: list[dict[str, Any]]  # name, memory_gb and bf16 of each GPU, then the CPU with its cores
    ray: dict[str, float]  # resources of the cluster (CPU, GPU, GB of memory and object store); empty without one
    disk: dict[str, float]  # folder → free GB
    problems: list[str]


def diagnose(address: str | None = None, folder: Path = Path()) -> Diagnosis:
    """Looks at this machine, and at the Ray cluster at `address` (None: one that is started for the moment)."""
    versions, problems = check_packages()
    devices, more = check_devices()
    problems += more
    disk, more = check_disk([folder.resolve(), Path(tempfile.gettempdir()), Path.home()])
    problems += more + check_limits()
    resources, more = check_ray(address)
    return Diagnosis(versions, devices, resources, disk, problems + more)


def check_packages() -> tuple[dict[str, str], list[str]]:
    """Python and what natrl requires; of the extras, what is installed."""
    found, problems = {"python": platform.python_version()}, []
    for requirement in map(Requirement, requires("natrl") or ()):
        extra = requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})
        name = requirement.name
        try:
            present = version(name)
        except PackageNotFoundError:
            if not extra:
                found[name] = "missing"
                problems.append(f"{name} is missing: pip install '{requirement.name}{requirement.specifier}'")
            continue
        if name != "natrl":
            found[name] = present
        if not requirement.specifier.contains(present, prereleases=True):
            wanted = f"{name}{requirement.specifier}"
            problems.append(f"{name} is {present}, natrl needs {wanted}: pip install '{wanted}'")
    return found, problems


def check_devices() -> tuple[list[dict[str, Any]], list[str]]:
    """GPUs as torch sees them, and the CPU; a problem if the machine has a driver that torch does not use."""
    import torch

    cpu = {"name": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    if torch.cuda.is_available():
        gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        bf16 = torch.cuda.is_bf16_supported()
        return [{"name": g.name, "memory_gb": g.total_memory / GB, "bf16": bf16} for g in gpus] + [cpu], []
    if shutil.which("nvidia-smi") is None:
        return [cpu], []
    built = torch.version.cuda or "no CUDA"
    return [cpu], [
        f"nvidia-smi is there, but torch {torch.__version__} ({built}) sees no GPU: see pytorch.org/get-started"
    ]


def check_disk(folders: list[Path]) -> tuple[dict[str, float], list[str]]:
    """Free GB of the disks that the folders are on."""
    disks = {folder.stat().st_dev: folder for folder in reversed(folders)}  # the first folder of each disk
    free = {str(folder): shutil.disk_usage(folder).free / GB for folder in reversed(disks.values())}
    return free, [
        f"{folder} has {gb:.1f} GB free; runs and Ray's logs want {LEAST_DISK_GB:g}"
        for folder, gb in free.items()
        if gb < LEAST_DISK_GB
    ]


def check_limits() -> list[str]:
    """Open files and shared memory, where the system has such limits."""
    problems = []
    try:
        import resource

        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if 0 <= files < LEAST_FILES:
            problems.append(f"only {files} files may be open at once; Ray wants {LEAST_FILES}: ulimit -n 65536")
    except ImportError:
        pass
    shm = Path("/dev/shm")
    if shm.is_dir():
        size = shutil.disk_usage(shm).total
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if size < LEAST_SHM_SHARE * memory:
            problems.append(
                f"/dev/shm holds {size / GB:.1f} of {memory / GB:.0f} GB of memory, so Ray's object store is a file, "
                f"which is slow; in Docker: --shm-size={LEAST_SHM_SHARE * memory / GB:.0f}g"
            )
    return problems


def check_ray(address: str | None) -> tuple[dict[str, float], list[str]]:
    """What the cluster has; a problem if there is none."""
    try:
        with ray_session(address):
            import ray

            total = ray.cluster_resources()
    except ConnectionError as error:
        return {}, [str(error)]
    return {
        "nodes": float(sum(name.startswith("node:") and name != "node:__internal_head__" for name in total)),
        "CPU": total.get("CPU", 0.0),
        "GPU": total.get("GPU", 0.0),
        "memory_gb": total.get("memory", 0.0) / GB,
        "object_store_gb": total.get("object_store_memory", 0.0) / GB,
    }, []
