"""What runs a network: eager torch, torch.compile, ONNX Runtime, or a function of the user's."""

from __future__ import annotations

import importlib
import shutil
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from numbers import Real
from typing import Any

import torch
from torch import nn, Tensor

from natrl.checks.errors import summary
from natrl.checks.kinds import described
from natrl.registry import in_one_line, Registry, returned_by
from natrl.training.device import default_device

__all__ = ["RUNTIMES", "Clock", "Run", "Runtime", "device_of", "prepared"]

Run = Callable[[], Any]
Clock = Callable[[], float]
Runtime = Callable[[nn.Module, tuple[Tensor, ...]], Run | float]


def _accepted(found: Any) -> Runtime:
    if not callable(found) or isinstance(found, type):
        raise ValueError(f"expected a function of a network and its inputs, got {described(found)}")
    return found


RUNTIMES: Registry[Runtime] = Registry("runtime", _accepted, group="natrl.runtimes")
RUNTIMES.register("eager", "natrl.timing.runtimes:eager", "torch as it is")
RUNTIMES.register("compile", "natrl.timing.runtimes:compiled", "torch.compile")
RUNTIMES.register("onnxruntime", "natrl.timing.runtimes:onnxruntime", "ONNX Runtime")
RUNTIMES.register("tensorrt", "natrl.timing.runtimes:tensorrt", "NVIDIA TensorRT, on a GPU")


def prepared(runtime: str, network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Run, Clock | None]:
    """What runs a network, in evaluation mode, once on these inputs, and the clock for it; None: it gives seconds.

    On one thread of a CPU the clock is that of the thread, which stands still while something else runs there.
    ValueError in one line where the runtime is not installed, cannot take the network, or a function of the user's
    returns neither something to call nor a number of seconds.
    """
    what = f"runtime {runtime!r}"
    function = RUNTIMES.get(runtime)
    found = returned_by(function, what, network=network, inputs=inputs)
    if callable(found):
        if RUNTIMES.is_ours(runtime):
            alone = inputs[0].device.type == "cpu" and torch.get_num_threads() == 1
            return found, time.thread_time if alone else time.perf_counter
        return lambda: _called(found, what), time.perf_counter
    _check_seconds(found, what)
    return lambda: _check_seconds(returned_by(function, what, network=network, inputs=inputs), what), None


def device_of(runtime: str, device: str | None) -> torch.device:
    """Where inputs are: the device given, else the GPU where there is one and the runtime goes there.

    ValueError in one line on a device that is not there.
    """
    if device is None and runtime != "tensorrt" and (runtime == "onnxruntime" or not RUNTIMES.is_ours(runtime)):
        return torch.device("cpu")
    try:
        found = default_device(device)
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError, ImportError):  # NotImplementedError among them: a device without tensors
        here = ", ".join(["cpu", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))])
        raise ValueError(f"device {device!r:.40} is not here; there is {here}") from None
    return found


def eager(network: nn.Module, inputs: tuple[Tensor, ...]) -> Run:
    """torch as it is."""
    return _on_device(torch.inference_mode()(network), inputs)


def compiled(network: nn.Module, inputs: tuple[Tensor, ...]) -> Run:
    """torch.compile, which needs a C++ compiler on a CPU."""
    if inputs[0].device.type == "cpu" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise ValueError("runtime 'compile' needs a C++ compiler, and there is no g++ or clang++: install one")
    torch._dynamo.reset()  # each network is compiled by itself: no count of its predecessors' recompilations
    return _by_torch("compile", network, inputs, backend="inductor")


def onnxruntime(network: nn.Module, inputs: tuple[Tensor, ...]) -> Run:
    """ONNX Runtime, with as many threads as torch has."""
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError:
        raise ValueError("runtime 'onnxruntime' needs the package onnxruntime: pip install onnxruntime") from None
    providers = ["CPUExecutionProvider"]
    if inputs[0].device.type == "cuda":
        if "CUDAExecutionProvider" not in runtime.get_available_providers():
            raise ValueError("runtime 'onnxruntime' on cuda needs onnxruntime-gpu: pip install onnxruntime-gpu")
        providers.insert(0, "CUDAExecutionProvider")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    try:
        session = runtime.InferenceSession(_onnx(network, inputs), options, providers=providers)
        given = {node.name: tensor.cpu().numpy() for node, tensor in zip(session.get_inputs(), inputs, strict=True)}
        session.run(None, given)
    except Exception as error:  # the exporter's, ONNX's and the session's are of many kinds
        raise ValueError(f"runtime 'onnxruntime' cannot take the network: {summary(error)}") from None
    return lambda: session.run(None, given)


def tensorrt(network: nn.Module, inputs: tuple[Tensor, ...]) -> Run:
    """TensorRT by torch_tensorrt, on a GPU."""
    if not torch.cuda.is_available():
        raise ValueError("runtime 'tensorrt' needs an NVIDIA GPU, and torch sees none")
    try:
        importlib.import_module("torch_tensorrt")
    except ImportError:
        raise ValueError("runtime 'tensorrt' needs the package torch-tensorrt: pip install torch-tensorrt") from None
    return _by_torch("tensorrt", network, inputs, backend="tensorrt")


def _by_torch(runtime: str, network: nn.Module, inputs: tuple[Tensor, ...], *, backend: str) -> Run:
    try:
        run = _on_device(torch.inference_mode()(torch.compile(network, backend=backend, dynamic=False)), inputs)
        run()
    except Exception as error:  # whatever of the compiler's stages it is
        raise ValueError(f"runtime {runtime!r} cannot take the network: {summary(error)}") from None
    return run


def _onnx(network: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
    """By the exporter that takes milliseconds where it can, else by the one that takes seconds."""
    file: Any = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(Exception):  # the other one says why
            torch.onnx.export(network, inputs, file, dynamo=False, verbose=False)
            return file.getvalue()
        program = torch.onnx.export(network, inputs, dynamo=True, verbose=False)
    assert program is not None
    return program.model_proto.SerializeToString()


def _on_device(network: Callable[..., Any], inputs: tuple[Tensor, ...]) -> Run:
    if inputs[0].device.type != "cuda":
        return lambda: network(*inputs)

    def run() -> None:
        network(*inputs)
        torch.cuda.synchronize(inputs[0].device)

    return run


def _called(run: Run, what: str) -> None:
    with in_one_line(f"{what}: what the function returned raised"):
        run()


def _check_seconds(found: Any, what: str) -> float:
    """ValueError unless it is a number of seconds."""
    if isinstance(found, bool) or not isinstance(found, Real) or not 0 < float(found) < float("inf"):
        raise ValueError(f"{what}: the function must return what runs once, or seconds, it returned {found!r:.40}")
    return float(found)
