"""Running copies of a user's network, so that nothing of the network itself can change.

First without data (torch's FakeTensors: shapes only, in milliseconds); where that fails, because the network's path
depends on the values that it computes, with the example input itself.
"""

from __future__ import annotations

import copy
import inspect
import logging
import random
import traceback
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, ExitStack
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn, Tensor
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy

from natrl.checks.errors import summary
from natrl.modules.replace.copies import copied, NotTheModelError, OriginalModel, where
from natrl.modules.replace.fast_paths import calling_parts
from natrl.modules.trace.places import without_fake_tensors

__all__ = [
    "Sandbox",
    "check_model",
    "example_tensors",
    "failure",
    "forward_signature",
    "random_numbers_kept",
    "type_name",
]

T = TypeVar("T")
EXAMPLE = "torch.zeros(1, 3, 224, 224)"
WRAPPED = "natrl gives tensors, in their order: a network of lists, dicts or keywords needs a module around it"


class Sandbox:
    """Copies of a network and one example input, run in evaluation mode or (`in_training`) in training mode."""

    def __init__(self, model: nn.Module, example_input: Any) -> None:
        """ValueError in one line where either cannot be run by its kind, with the reason and what would work."""
        check_model(model)
        self.inputs = example_tensors(example_input)
        with random_numbers_kept(self.inputs[0].device):  # a copy's constructor may draw
            self.original: OriginalModel | None = OriginalModel(model)
        self.fake = True
        self.training = False

    def in_training(self) -> Sandbox:
        """Another one, of at least two images: batch-norms need more than one value of a channel."""
        other = copy.copy(self)
        other.__dict__.pop("_mode", None)
        other.training, other.fake = True, True
        if self.batch == 1:
            other.inputs = tuple(
                t.repeat(2, *[1] * (t.dim() - 1)) if t.dim() and len(t) == 1 else t for t in self.inputs
            )
        return other

    def attempt(self, model: nn.Module, work: Callable[[], T]) -> T:
        """What `work`, which runs a copy of the model, gives: without data or, where that fails, with the example.

        The latter is what all later work here is done with. ValueError in one line where the model does not run.
        """
        try:
            return work()
        except NotTheModelError:
            raise
        except Exception:  # whatever a model's own code raises: what counts is whether it runs with data
            self.fake = False
        try:
            return work()
        except NotTheModelError:
            raise
        except Exception as error:
            raise ValueError(self._diagnosis(model, error)) from None

    def _diagnosis(self, model: nn.Module, error: Exception) -> str:
        """Why work on the model failed: by the model's own fault, or by what natrl does while it runs."""
        try:
            self.run(self.copy(model))
        except Exception as own:
            return failure(model, self.inputs, own)
        return f"{type(model).__name__} runs, but natrl cannot follow it: {summary(error)}{_place(error)}"

    @property
    def batch(self) -> int:
        """How many images the example input holds."""
        return int(self.inputs[0].shape[0])

    @cached_property
    def _mode(self) -> FakeTensorMode:
        return FakeTensorMode(allow_non_fake_inputs=True)

    def __getstate__(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "fake": self.fake, "training": self.training, "original": None}

    def copy(self, model: nn.Module, replaced: Mapping[nn.Module, nn.Module] | None = None) -> nn.Module:
        """A copy (`copied`) to be run here, in this sandbox's mode."""
        with ExitStack() as stack:
            stack.enter_context(random_numbers_kept(self.inputs[0].device))
            if self.fake:
                stack.enter_context(FakeCopyMode(self._mode))
            found = calling_parts(copied(model, replaced))
            return found.train() if self.training else found.eval()

    def run(self, model: nn.Module, *modes: AbstractContextManager[Any], inputs: Sequence[Tensor] | None = None) -> Any:
        """What a copy gives for the example input (or for `inputs` from `example`), run within `modes`."""
        given = self.example(model) if inputs is None else inputs
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(random_numbers_kept(given[0].device))
            if self.fake:
                stack.enter_context(_no_log("torch._subclasses.fake_tensor"))  # of what is tried with data then
                stack.enter_context(without_fake_tensors(model))
                stack.enter_context(self._mode)
            for mode in modes:
                stack.enter_context(mode)
            return model(*given)

    def example(self, model: nn.Module) -> list[Tensor]:
        """The example input on the device of a copy and in its floating-point type, for the copy to write to."""
        own = next((p for p in model.parameters() if p.is_floating_point()), self.inputs[0])
        with ExitStack() as stack:
            if self.fake:
                stack.enter_context(self._mode)
            given = [self._mode.from_tensor(t) if self.fake else t.clone() for t in self.inputs]
            return [t.to(own.device, own.dtype if t.is_floating_point() else t.dtype) for t in given]


@contextmanager
def random_numbers_kept(device: torch.device) -> Iterator[None]:
    """The generators of torch (of the CPU and the device), numpy and Python are seeded in the body, then as before."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # the user's own code may draw from it
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def _no_log(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def check_model(model: Any) -> None:
    """ValueError unless it is a network whose modules can be replaced."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"expected a torch.nn.Module, got {type(model).__name__}")
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError("a model from torch.jit is compiled code: give the nn.Module that it was made from")
    if isinstance(model, DistributedDataParallel):
        raise ValueError("the model is wrapped in DistributedDataParallel: give what it wraps (.module)")
    if "_modules" not in vars(model):
        raise ValueError(f"{type(model).__name__} is no network yet: its __init__ does not call super().__init__()")
    for name, module in model.named_modules():
        weak = [part for part, held in vars(module).get("_modules", {}).items() if type(held) in weakref.ProxyTypes]
        if weak:
            raise ValueError(f"{where(name)} refers weakly to its {weak[0]!r}, which no copy does: give it the layer")
        if isinstance(module, torch.jit.ScriptModule):
            raise ValueError(
                f"layer {name!r} was compiled by torch.jit (script or trace): give the nn.Module that it was made from"
            )
        if hasattr(module, "_orig_mod"):
            raise ValueError(
                f"{where(name)} comes from torch.compile: give the module that was compiled (._orig_mod) instead"
            )
    lazy = [name for name, module in model.named_modules() if any(is_lazy(p) for p in module._parameters.values())]
    if lazy:
        raise ValueError(
            f"layer {lazy[0]!r} is built lazily and has no weights yet: run model(example_input) once before"
        )


def example_tensors(example_input: Any) -> tuple[Tensor, ...]:
    """The example input, one tensor or several. ValueError if it is none."""
    given = tuple(example_input) if isinstance(example_input, tuple | list) else (example_input,)
    if not given or not all(isinstance(t, Tensor) for t in given):
        kinds = ", ".join(type(t).__name__ for t in given) or "nothing"
        raise ValueError(
            f"example_input must be a tensor such as {EXAMPLE}, or a tuple of the inputs, got {kinds}; {WRAPPED}"
        )
    if given[0].dim() == 0 or not given[0].numel():
        raise ValueError(f"example_input must be a batch of images, got a tensor of shape {(*given[0].shape,)}")
    return tuple(t.detach() for t in given)


def failure(model: nn.Module, inputs: Sequence[Tensor], error: BaseException) -> str:
    """Why a model does not run on its example input, and what would work."""
    name, shapes = type(model).__name__, ", ".join(str((*t.shape,)) for t in inputs)
    if isinstance(error, ValueError) and str(error).startswith(f"{name} cannot be copied"):
        return str(error)
    return _uncallable(model, len(inputs)) or (
        f"{name} does not run on an example input of shape {shapes}: {summary(error)}{_place(error)}; "
        "give a batch as the model takes it in evaluation mode"
    )


def forward_signature(model: nn.Module) -> inspect.Signature:
    """What a model's forward takes; any inputs where it is a built-in function that does not say."""
    try:
        return inspect.signature(model.forward)
    except ValueError:
        return inspect.Signature([inspect.Parameter("inputs", inspect.Parameter.VAR_POSITIONAL)])


def _uncallable(model: nn.Module, inputs: int) -> str | None:
    """Why a model's forward cannot be called with so many inputs, and what would work; None if it can."""
    signature = forward_signature(model)
    try:
        signature.bind(*range(inputs))
        return None
    except TypeError:
        given = signature.parameters.values()
    name, keywords = type(model).__name__, [p.name for p in given if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if any(p.kind is p.VAR_KEYWORD for p in given) and len(given) == 1:
        keywords = ["its inputs"]
    if keywords:
        return f"{name} takes {', '.join(keywords)} by keyword alone; {WRAPPED}"
    names = [p.name for p in given if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return (
        f"{name} takes {len(names)} inputs ({', '.join(names) or 'none'}), the example has {inputs}: "
        f"give example_input as a tuple with one tensor for each; {WRAPPED}"
    )


def _place(error: BaseException) -> str:
    """The innermost layer that was running when an error was raised, such as ", in layer 'body.1' (mylib.Block)"."""
    frames = (frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__))
    running = [found for found in frames if isinstance(found, nn.Module)]
    names = {id(module): name for name, module in running[0].named_modules()} if running else {}
    inner = [(names[id(module)], module) for module in running if names.get(id(module))]
    return f", in layer {inner[-1][0]!r} ({type_name(inner[-1][1])})" if inner else ""


def type_name(module: nn.Module) -> str:
    """Of a module's type, with where it comes from unless that is torch.nn."""
    kind = type(module)
    return kind.__qualname__ if getattr(nn, kind.__name__, None) is kind else f"{kind.__module__}.{kind.__qualname__}"
