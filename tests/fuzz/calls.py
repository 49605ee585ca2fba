"""Calls from Python with arguments that cannot be."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, get_args, get_origin, get_type_hints, Literal, Union

import gymnasium
import torch
from torch import nn

import natrl
import natrl.envs
from natrl.data import Augmentation, load_data
from natrl.envs import ArchTransitionVectorEnv
from natrl.evaluation import load_table
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.ledger.file import read_ledger
from natrl.evaluation.pool.evaluator import PoolEvaluator
from natrl.evaluation.surrogate.evaluator import SurrogateEvaluator
from natrl.evaluation.table import TableEvaluator
from natrl.export.folder import export_architecture
from natrl.export.module_code import export_module_code
from natrl.export.onnx_file import export_onnx
from natrl.modules.references import load_network
from natrl.modules.saved import load_module
from natrl.policies import Policy
from natrl.policies.network import PolicyConfig, PolicyNetwork
from natrl.report.results import read_results
from natrl.rllib.settings import LearnSettings
from natrl.runs.settings import RunSettings
from natrl.training.fitting import fit, measure
from natrl.training.schedule import Schedule
from natrl.training.weights import save_weights
from natrl.tuning.documents import read_settings
from natrl.tuning.optimize import OptimizeSettings
from natrl.tuning.run import resume, train
from natrl.tuning.sweep import read_plan, resume_sweep, SweepPlan
from tests.fuzz.judging import Case

__all__ = ["call_cases"]

HUGE = 10**30
NAN, INF = math.nan, math.inf


class Thing:
    """Of no kind that natrl knows."""

    def __repr__(self) -> str:
        return "Thing()"


class Breaks(Thing):
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("broken")


BAD: dict[str, tuple[Any, ...]] = {
    "name": (None, 3, NAN, "", "nonsense", b"x", [], Thing()),
    "file": (None, 3, "", "missing", "/dev/null", "images", "fifo", [], Thing()),
    "new": (3, "/dev/null/x", [], Thing()),
    "size": (None, 0, -1, 1.5, NAN, INF, "x", [], HUGE, Thing()),
    "optional size": (0, -1, 1.5, NAN, INF, "x", [], HUGE, Thing()),
    "seed": (None, -1, 1.5, NAN, "x", [], 2**70),
    "positive": (None, -1, NAN, INF, "x", [], Thing()),
    "optional positive": (-1, NAN, INF, "x", [], Thing()),
    "budget": ("x", NAN, -1, "-5%", "nan%", [], Thing()),
    "object": (None, 3, "x", [], {}, Thing(), Breaks()),
    "maybe": (3, "x", [], Thing()),
    "list": (None, 3, "x", [None], [3], {"a": 1}, Thing()),
    "flag": ("x", [], Thing()),
}


@cache
def _space() -> Any:
    return natrl.space("nasbench201")


@cache
def _policy() -> Policy:
    return Policy(PolicyNetwork(PolicyConfig(primitives=_space().primitives)), _space())


def _network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)
    )


def _spec() -> dict[str, tuple[Callable[..., Any], dict[str, Any], dict[str, str]]]:
    """name → function, sound arguments, what kinds of bad ones each takes."""
    vgg, first = natrl.parse("VGG"), next(iter(_space().architectures()))
    image, net = torch.zeros(2, 1, 8, 8), _network()
    optimize = {"model": net, "data": "digits", "budget": {"madds": "90%"}}
    env = {"space": "nasbench201", "evaluator": "table:nasbench201"}
    env_kinds = {
        "space": "name",
        "evaluator": "name",
        "rule": "name",
        "cost": "name",
        "initial": "name",
        "horizon": "size",
        "reward_clip": "optional positive",
        "invalid_action": "name",
    }  # (render_mode gymnasium.make reads before natrl does)
    return {
        "natrl.parse": (natrl.parse, {"text": "VGG"}, {"text": "name"}),
        "natrl.operation": (natrl.operation, {"name": "null"}, {"name": "name"}),
        "natrl.operation_cost": (
            natrl.operation_cost,
            {"op": "null"},
            {"op": "name", "channels": "size", "height": "size", "width": "size", "stride": "size"},
        ),
        "natrl.successors": (
            natrl.successors,
            {"name": "conv_3x3"},
            {"name": "name", "rule": "name", "primitives": "list"},
        ),
        "natrl.space": (natrl.space, {"name": "darts"}, {"name": "name"}),
        "natrl.register_space": (natrl.register_space, {"new": None}, {"new": "object"}),
        "natrl.network_cost": (
            natrl.network_cost,
            {"architecture": vgg},
            {"architecture": "object", "skeleton": "maybe"},
        ),
        "natrl.Skeleton": (
            natrl.Skeleton,
            {},
            {
                "channels": "size",
                "cells": "size",
                "image_size": "size",
                "image_channels": "size",
                "num_classes": "size",
                "stem": "name",
            },
        ),
        "natrl.build_network": (
            natrl.build_network,
            {"architecture": vgg, "skeleton": natrl.Skeleton(channels=4, cells=3)},
            {"architecture": "object", "skeleton": "maybe"},
        ),
        "natrl.load_policy": (natrl.load_policy, {"run_or_dir": "run"}, {"run_or_dir": "file", "space": "maybe"}),
        "natrl.from_module": (
            natrl.from_module,
            {"model": net, "example_input": image},
            {"model": "object", "example_input": "object"},
        ),
        "natrl.optimize": (
            natrl.optimize,
            optimize,
            {
                "model": "object",
                "data": "name",
                "score": "maybe",
                "tune": "maybe",
                "budget": "object",
                "example_input": "maybe",
                "out": "new",
                "settings": "maybe",
                "policy": "maybe",
                "resume": "flag",
            },
        ),
        "Architecture.from_dict": (natrl.Architecture.from_dict, {"document": {}}, {"document": "object"}),
        "Architecture.from_json": (natrl.Architecture.from_json, {"text": ""}, {"text": "name"}),
        "Architecture.with_operations": (
            first.with_operations,
            {"operations": first.operations},
            {"operations": "list"},
        ),
        "Space.cost": (_space().cost, {"architecture": first}, {"architecture": "object"}),
        "Space.masks": (
            _space().masks,
            {"architecture": first},
            {"architecture": "object", "rule": "name", "cost": "name"},
        ),
        "Space.check": (_space().check, {"architecture": first}, {"architecture": "object"}),
        "Space.sample": (_space().sample, {}, {"rng": "object"}),
        "load_data": (load_data, {"name": "digits"}, {"name": "name", "seed": "seed", "image_size": "optional size"}),
        "load_table": (load_table, {"source": "table.csv", "column": "valid"}, {"source": "name", "column": "maybe"}),
        "TableEvaluator": (TableEvaluator, {"accuracies": {first: 0.5}}, {"accuracies": "object"}),
        "TableEvaluator.evaluate": (
            load_table("nasbench201").evaluate,
            {"architectures": [first]},
            {"architectures": "list"},
        ),
        "SurrogateEvaluator": (
            SurrogateEvaluator,
            {"inner": load_table("nasbench201"), "queries": 20},
            {"inner": "object", "queries": "size", "every": "size", "seed": "seed"},
        ),
        "PoolEvaluator": (
            PoolEvaluator,
            {"build": partial(load_table, "nasbench201"), "actors": 1},
            {
                "build": "object",
                "actors": "size",
                "num_cpus": "positive",
                "num_gpus": "positive",
                "chunk": "size",
                "timeout": "budget",
                "max_attempts": "size",
            },
        ),
        "read_ledger": (read_ledger, {"path": "run/evaluations.db"}, {"path": "file"}),
        "PolicyConfig": (PolicyConfig, {"primitives": _space().primitives}, {"primitives": "list", "head": "name"}),
        "Policy": (
            Policy,
            {"network": _policy().network, "space": _space()},
            {"network": "object", "space": "name", "rule": "name", "cost": "name"},
        ),
        "Policy.on": (_policy().on, {"space": "darts"}, {"space": "name"}),
        "Policy.transform": (
            _policy().transform,
            {"architecture": first, "n": 2},
            {
                "architecture": "object",
                "n": "size",
                "evaluator": "maybe",
                "max_madds": "budget",
                "max_params": "budget",
                "seed": "seed",
                "skeleton": "maybe",
            },
        ),
        "Policy.transform_batch": (
            _policy().transform_batch,
            {"architectures": [first]},
            {"architectures": "list", "seed": "seed", "temperature": "positive"},
        ),
        "gymnasium.make joint": (partial(gymnasium.make, "natrl/ArchTransition-v0"), env, env_kinds),
        "gymnasium.make sequential": (partial(gymnasium.make, "natrl/ArchTransitionSequential-v0"), env, env_kinds),
        "ArchTransitionVectorEnv": (
            ArchTransitionVectorEnv,
            {"num_envs": 2, **env},
            {
                "num_envs": "size",
                "group_size": "size",
                "space": "name",
                "evaluator": "name",
                "rule": "name",
                "cost": "name",
                "initial": "name",
                "horizon": "size",
            },
        ),
        "export_architecture": (
            export_architecture,
            {"architecture": vgg, "skeleton": natrl.Skeleton(channels=4, cells=3), "folder": "new"},
            {"architecture": "object", "skeleton": "object", "folder": "new"},
        ),
        "export_module_code": (
            export_module_code,
            {"model": net, "example": image, "path": "new.py"},
            {"model": "object", "example": "object", "path": "new"},
        ),
        "export_onnx": (
            export_onnx,
            {"model": net, "example": image, "path": "new.onnx"},
            {"model": "object", "path": "new"},
        ),
        "save_weights": (save_weights, {"model": net, "path": "new.safetensors"}, {"model": "object", "path": "new"}),
        "load_network": (
            load_network,
            {"reference": "usercode:network", "num_classes": 10},
            {"reference": "name", "weights": "file"},
        ),
        "load_module": (
            load_module,
            {"model": net, "example_input": image, "directory": "run"},
            {"model": "object", "directory": "file"},
        ),
        "measure": (
            measure,
            {"network": net, "dataset": load_data("digits").validation},
            {"network": "object", "dataset": "object"},
        ),
        "fit": (
            fit,
            {"network": net, "data": load_data("digits"), "schedule": Schedule(epochs=1, batch_size=500), "seed": 0},
            {"network": "object", "data": "object", "schedule": "object", "seed": "seed"},
        ),
        "read_results": (read_results, {"path": "missing"}, {"path": "file"}),
        "read_settings": (read_settings, {"path": "config.json"}, {"path": "file"}),
        "read_plan": (
            read_plan,
            {"file": "sweep.json"},
            {"file": "file", "trials": "optional size", "concurrent": "optional size"},
        ),
        "train": (train, {"settings": RunSettings(), "out": "new"}, {"settings": "object", "out": "new"}),
        "resume": (resume, {"run": "run"}, {"run": "file"}),
        "resume_sweep": (resume_sweep, {"directory": "run"}, {"directory": "file"}),
        "RunSettings.from_dict": (RunSettings.from_dict, {"document": {}}, {"document": "list"}),
        "SweepPlan.from_dict": (SweepPlan.from_dict, {"document": {}}, {"document": "list"}),
    }


#: Where a value of these is none of the bad ones.
FINE = {
    ("natrl.Skeleton", "stem"),
    ("natrl.load_policy", "run_or_dir", "run"),
    ("load_network", "weights", None),
}
OWNERS = {
    "gymnasium.make joint": "rl",
    "gymnasium.make sequential": "rl",
    "ArchTransitionVectorEnv": "rl",
    "load_data": "data",
}
SETTINGS: dict[str, type] = {
    c.__name__: c
    for c in (EvaluatorSpec, LearnSettings, OptimizeSettings, RunSettings, Schedule, SweepPlan, Augmentation)
}
NEEDED: dict[str, dict[str, Any]] = {"Schedule": {"epochs": 2, "batch_size": 8}}
RETURNED = (
    "nothing",
    "number",
    "raises",
    "asserts",
    "leaves",
    "closes",
    "deep",
    "needs",
    "words",
    "unequal",
    "value",
    "absent",
)


def call_cases() -> Iterator[Case]:
    """Each with one bad argument."""
    for name, (function, sound, kinds) in _spec().items():
        for parameter, kind in kinds.items():
            for value in BAD[kind]:
                if not _is_fine(name, parameter, value):
                    arguments = {**sound, parameter: value}
                    yield _case(name, parameter, value, partial(function, **arguments))
    for name, cls in SETTINGS.items():
        for field in dataclasses.fields(cls):
            for value in _bad_values(get_type_hints(cls)[field.name]):
                if (value == -1 and "Logit" in str(field.type)) or (field.name, value) == ("data", "x"):
                    continue  # a policy may start far from what a slot holds; names of data are known to load_data
                yield _case(name, field.name, value, partial(cls, **{**NEEDED.get(name, {}), field.name: value}))
    for name in RETURNED:
        yield Case(f"load_data('usercode:{name}')", "fuzz", partial(load_data, f"usercode:{name}"))
        yield Case(
            f"load_network('usercode:{name}')", "fuzz", partial(load_network, f"usercode:{name}", num_classes=10)
        )
    for target in (
        "json:loads",
        "sys:exit",
        "os:abort.x",
        "builtins:input",
        "antigravity.none:x",
        "usercode:",
        ":x",
        "json",
        "a b:c",
    ):
        yield Case(f"load_data({target!r})", "fuzz", partial(load_data, target))


def _is_fine(name: str, parameter: str, value: Any) -> bool:
    """Whether the value is none of the bad ones here: whole numbers of Python have any size."""
    return (
        value is HUGE
        and (name, parameter) != ("PoolEvaluator", "actors")
        and name in ("natrl.operation_cost", "PoolEvaluator")
    ) or (isinstance(value, str | None) and (name, parameter, value) in FINE)


def _case(name: str, parameter: str, value: Any, what: Callable[[], Any]) -> Case:
    owner = OWNERS.get(name, "door" if name in SETTINGS else "fuzz")
    return Case(f"{name}({parameter}={value!r})", owner, what)


def _bad_values(hint: Any) -> tuple[Any, ...]:
    """By the annotation of a field of settings."""
    parts = get_args(hint) if get_origin(hint) in (Union, type(int | str)) else (hint,)
    none = () if type(None) in parts else (None,)
    if get_origin(parts[0]) is Literal:
        return (*none, "nonsense", "", 3, [])
    if int in parts:
        return (*none, -1, 1.5, NAN, INF, "x", [], {}, HUGE)
    if float in parts:
        return (*none, -1, NAN, INF, "x", [], {})
    if bool in parts:
        return (*none, "x", [], 3.5)
    if str in parts:
        return (*none, 3, [], {}, "")
    return (*none, 3, "x")
