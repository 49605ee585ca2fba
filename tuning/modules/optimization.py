"""natrl.optimize: a trained network in, a cheaper one of the same class out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import ray
import torch
from rich.progress import Progress
from torch import nn, Tensor

from natrl.architecture import Architecture
from natrl.data import batches, ImageData, load_data
from natrl.evaluation import Evaluator
from natrl.export.module_code import module_code
from natrl.files import check_new
from natrl.modules.evaluator import ModuleEvaluator
from natrl.modules.importing import from_module
from natrl.modules.limits import BudgetedEvaluator, Limits
from natrl.modules.space import ModuleSpace
from natrl.modules.supernet_evaluator import ModuleSupernetEvaluator
from natrl.networks.latency import Latency, measure_latency
from natrl.networks.modes import in_mode
from natrl.networks.training import measure, Measured
from natrl.operations import VOCABULARY_INDEX
from natrl.policies.budget import Budget, cheapest, cheapest_within
from natrl.policies.policy import Policy
from natrl.policies.storage import read_policy
from natrl.transitions import CostMode, Rule
from natrl.tuning.modules.finalists import fine_tune_all
from natrl.tuning.modules.learning import learn
from natrl.tuning.modules.result import Figures, layer_changes, Optimized
from natrl.tuning.modules.settings import OptimizeSettings
from natrl.tuning.progress import progress_bar
from natrl.tuning.session import ray_session

__all__ = ["optimize"]

THROUGHPUT_BATCH = 32  # images
TIGHTER = 0.85  # factor on the MAdds where no candidate is fast enough, and how often it is tried
TRIES = 6


def optimize(
    model: nn.Module,
    *,
    data: str | ImageData,
    budget: Mapping[str, float | str] | Limits,
    example_input: Tensor | None = None,
    out: Path | str | None = None,
    settings: OptimizeSettings | None = None,
    policy: Policy | Path | str | None = None,
    address: str | None = None,
) -> Optimized:
    """Replaces operations of a trained network such that it keeps to a budget and loses as little accuracy as can be.

    A policy learns with RLlib which layers can do with less: candidates inherit their weights from `model` and are
    scored on validation images (`natrl.modules.ModuleEvaluator`). The best few of what it proposes are fine-tuned, on
    Ray, and validation data chooses; test data is read once, for the two accuracies in the result. `model` is not
    changed.

    `data`: a data set by name (`natrl.data.load_data`) or itself, normalised as the model was trained. `budget`: such
    as {"madds": "80%"}; kinds are madds, params and latency (seconds for one image on this machine), values are numbers
    or shares of the original. `example_input`: a batch as the model takes it; None: validation images. `out`: a new
    directory for what is written; None: a temporary one. `policy`: one that was learned before, on this or another
    network, or its directory: then none is trained. `address`: a Ray cluster, as `ray_session` has it.

    ValueError in one line where the model cannot be imported, or nothing satisfies the budget.
    """
    settings = settings or OptimizeSettings()
    limits = Limits.of(budget)
    images = load_data(data, seed=settings.seed) if isinstance(data, str) else data
    example = next(batches(images.validation, 2))[0].contiguous() if example_input is None else example_input
    space = from_module(model, example)
    _check_outputs(model, example, images)
    feasible = _check_budget(space, limits, example)
    learned = None if policy is None else _given_policy(policy, space)
    directory = _new_directory(out)
    evaluator = ModuleEvaluator(
        space,
        images,
        steps=settings.steps,
        reference_images=settings.reference_images,
        validation_images=settings.validation_images,
        seed=settings.seed,
    )
    with ray_session(address), progress_bar() as bar:
        if learned is None:
            build = _reward(evaluator, feasible, images, settings)
            learned = learn(space, build, settings, directory, progress=bar)
        chosen, networks, count = _propose(learned, evaluator, limits, settings, example)
        with _counted(bar, "fine-tuning", len(networks)) as advance:
            teacher = model if settings.distill else None
            tuned = fine_tune_all(networks, images, settings, teacher=teacher, on_result=advance)
    best = max(range(len(chosen)), key=lambda i: (tuned[i].validation.accuracy, -space.cost(chosen[i]).madds))
    network = tuned[best].load_into(networks[best]).eval()
    before, after = _figures(space, images, example, chosen[best], network, tuned[best].validation)
    layers = layer_changes(space, chosen[best])
    code, no_code = _code(network, example)
    result = Optimized(network, chosen[best], space, before, after, layers, count, directory, code, no_code)
    result.save()
    return result


def _code(network: nn.Module, example: Tensor) -> tuple[str | None, str | None]:
    """The network as code, or why there can be none."""
    try:
        return module_code(network, example), None
    except ValueError as error:
        return None, str(error)


@torch.inference_mode()
def _check_outputs(model: nn.Module, example: Tensor, data: ImageData) -> None:
    """ValueError where the outputs cannot be logits of the data's classes."""
    with in_mode(model, training=False):
        outputs = model(example)
    if not isinstance(outputs, Tensor) or outputs.dim() != 2 or outputs.shape[1] < data.num_classes:
        found = f"shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ValueError(
            f"{type(model).__name__} must give one number for each image and class, (N, {data.num_classes}) for data "
            f"{data.name!r}; it gives {found}"
        )


def _given_policy(policy: Policy | Path | str, space: ModuleSpace) -> Policy:
    """The policy on this space. (Which space a stored one was trained on does not matter: it may be gone.)"""
    if isinstance(policy, Policy):
        return policy.on(space)
    network, stored = read_policy(Path(policy))
    if network.config.primitives != space.primitives:
        network = network.with_primitives(space.primitives)
    return Policy(network, space, cast(Rule, stored.rule), cast(CostMode, stored.cost))


def _reward(
    evaluator: ModuleEvaluator, budget: Budget, data: ImageData, settings: OptimizeSettings
) -> Callable[[], Evaluator]:
    """What makes the evaluator that the policy learns from."""
    if settings.reward == "inherited":
        return partial(BudgetedEvaluator, evaluator, evaluator.space, budget)
    return partial(_supernet, evaluator.space, budget, ray.put(data), settings)


def _supernet(space: ModuleSpace, budget: Budget, data: ray.ObjectRef, settings: OptimizeSettings) -> Evaluator:
    supernet = ModuleSupernetEvaluator(
        space,
        ray.get(data),
        reference_images=settings.reference_images,
        validation_images=settings.validation_images,
        seed=settings.seed,
    )
    return BudgetedEvaluator(supernet, space, budget)


def _new_directory(out: Path | str | None) -> Path:
    if out is None:
        return Path(tempfile.mkdtemp(prefix="natrl-"))
    path = Path(out)
    check_new(path, "choose another directory")
    path.mkdir(parents=True, exist_ok=True)
    return path


def _check_budget(space: ModuleSpace, limits: Limits, example: Tensor) -> Budget:
    """What the policy is trained under. ValueError where nothing satisfies the limits.

    While the policy learns, MAdds stand for latency, by the same share.
    """
    original = space.architecture
    budget, mask = limits.budget(space, original), space.masks(original)
    if budget:
        cheapest_within(budget, original, mask, space, None)
    if limits.latency is None:
        return budget
    least = _fewest_madds(space, mask)
    networks = [space.model, space.build(least)]
    first, smallest = (latency.seconds for latency in _latencies(networks, example))
    seconds = limits.seconds(first)
    assert seconds is not None
    if smallest > seconds:
        raise ValueError(
            f"no transformation takes at most {1e3 * seconds:.3g} ms for one image here; the one with the fewest MAdds "
            f"takes {1e3 * smallest:.3g} ms, the original {1e3 * first:.3g} ms"
        )
    madds = space.cost(original).madds * min(1.0, seconds / first)
    return Budget(max(space.cost(least).madds, min(madds, budget.madds or madds)), budget.params)


def _fewest_madds(space: ModuleSpace, mask: np.ndarray) -> Architecture:
    columns = [VOCABULARY_INDEX[name] for name in space.primitives]
    prices = space.cost_table(space.architecture).slots[:, columns, 1].astype(float)
    return space.prune(cheapest(space.architecture, np.where(mask, prices, np.inf), space.primitives))


def _propose(
    policy: Policy, evaluator: ModuleEvaluator, limits: Limits, settings: OptimizeSettings, example: Tensor
) -> tuple[list[Architecture], list[nn.Module], int]:
    """The finalists, their networks with inherited weights, and how many candidates they were chosen from.

    Candidates keep to the budget, and to the limit on latency by measurement: where none does, fewer MAdds are tried.
    """
    space = evaluator.space
    original = space.architecture
    budget = limits.budget(space, original)
    madds = budget.madds
    for _ in range(TRIES):
        found = policy.transform(
            original,
            n=settings.candidates,
            evaluator=evaluator,
            max_madds=madds,
            max_params=budget.params,
            seed=settings.seed,
        )
        assert found.scores is not None
        order = sorted(range(len(found)), key=lambda i: (-found.scores[i], found.costs[i].madds))  # type: ignore[index]
        within = [found.architectures[i] for i in order if Budget(madds, budget.params).allows(found.costs[i])]
        networks = [evaluator.inherit(a).cpu() for a in within]
        if limits.latency is not None:
            within, networks = _fast_enough(space, limits, within, networks, example)
        if within:
            return within[: settings.finalists], networks[: settings.finalists], len(found)
        madds = TIGHTER * (madds or space.cost(original).madds)
    raise ValueError(
        f"no candidate keeps to the limit on latency ({limits.latency}), even with {madds:,.0f} MAdds; allow more, or "
        "more candidates"
    )


def _fast_enough(
    space: ModuleSpace,
    limits: Limits,
    architectures: Sequence[Architecture],
    networks: Sequence[nn.Module],
    example: Tensor,
) -> tuple[list[Architecture], list[nn.Module]]:
    first, *others = _latencies([space.model, *networks], example)
    seconds = limits.seconds(first.seconds)
    assert seconds is not None
    fine = [i for i, latency in enumerate(others) if latency.seconds <= seconds]
    return [architectures[i] for i in fine], [networks[i] for i in fine]


def _latencies(networks: Sequence[nn.Module], example: Tensor, batch: int = 1) -> list[Latency]:
    return measure_latency(networks, example, batch=batch)


def _figures(
    space: ModuleSpace,
    data: ImageData,
    example: Tensor,
    architecture: Architecture,
    network: nn.Module,
    validation: Measured,
) -> tuple[Figures, Figures]:
    """Of the original and of the result; here test data is read."""
    original = deepcopy(space.model)
    timed = [_latencies([original, network], example, batch) for batch in (1, THROUGHPUT_BATCH)]
    return (
        Figures(
            space.cost(space.architecture),
            measure(original, data.validation).accuracy,
            measure(original, data.test).accuracy,
            tuple(before for before, _ in timed),
        ),
        Figures(
            space.cost(architecture),
            validation.accuracy,
            measure(network, data.test).accuracy,
            tuple(after for _, after in timed),
        ),
    )


@contextmanager
def _counted(bar: Progress, label: str, total: int) -> Iterator[Any]:
    task = bar.add_task(label, total=total, note="")
    yield lambda: bar.advance(task)
