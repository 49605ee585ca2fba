"""The policy: a network together with the space and the rule it acts under, and what is done with it.

B batch, E slots, K primitives.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import torch
from torch import Tensor

from natrl.checks.arguments import checked
from natrl.checks.fields import Positive, Range, Seed
from natrl.core.architecture import Architecture
from natrl.core.transitions import check_choice, CostMode, Rule
from natrl.evaluation import check_evaluator, check_scores, Evaluator
from natrl.policies.bmsoftmax import BMSoftmax
from natrl.policies.candidates import best_within, Candidates
from natrl.policies.network import PolicyNetwork
from natrl.policies.pretrained import policy_path
from natrl.policies.storage import read_policy, StoredPolicy, write_policy
from natrl.spaces import apply_actions, Batch, encode, Skeleton, Space, SPACES, wiring_of
from natrl.spaces import space as space_of
from natrl.spaces.budget import Budget, cheapest_within, RESOURCES
from natrl.spaces.budgeted import Budgeted

__all__ = ["Policy", "load_policy"]

MOST = 1_000_000  # candidates

BATCH = 1024  # architectures decoded at once
DRAWS = 8  # samples drawn at each temperature for each different one that is wanted
#: A policy that is sure of itself repeats its samples; flatter ones fill up what is missing of the wanted number.
TEMPERATURES = (1.0, 2.0, 3.0)
TOLD = tuple(np.geomspace(1, 8, 13))  # times the budget: what a policy is told where prices are bounds
#: What the whole budget may cost in logits when a budget binds: the smallest price that makes the first choice fit.
PRICES = (0.0, *(2.0 ** (i / 2) for i in range(-12, 31)))


class Policy:
    """Transforms architectures of a space under a transition rule and a cost mode (see natrl.core.transitions)."""

    @checked
    def __init__(
        self, network: PolicyNetwork, space: Space | str, rule: Rule = "nat++", cost: CostMode = "strict"
    ) -> None:
        """ValueError on an unknown space, rule or cost mode, or a network with other primitives than the space's."""
        check_choice("rule", rule, Rule)
        check_choice("cost mode", cost, CostMode)
        self.space = space_of(space)
        self.rule, self.cost = rule, cost
        self.network = network
        if network.config.primitives != self.space.primitives:
            raise ValueError(f"the network acts on other primitives than those of space {self.space.name!r}")

    @checked
    def on(self, space: Space | str) -> Policy:
        """The same policy on another space: its weights do not depend on the number of slots and primitives."""
        space, network = space_of(space), self.network
        if space.primitives != self.space.primitives:
            network = network.with_primitives(space.primitives)
        return Policy(network, space, self.rule, self.cost)

    def save(self, directory: Path | str) -> None:
        """Writes policy.json and policy.safetensors into the directory, which is made if need be."""
        name = SPACES.known(self.space) or self.space.name
        write_policy(Path(directory), self.network, StoredPolicy(name, self.rule, self.cost))

    def observe(self, architectures: Sequence[Architecture], budget: Budget | None = None) -> dict[str, Tensor]:
        """The network's observations: ops, adjacency, features, action_mask, on its device.

        Of a policy that was trained with budgets also costs and budget: where the budget says nothing, what the
        architecture costs. ValueError if an architecture is not one of the space.
        """
        if any(len(a.operations) != self.space.n_slots for a in architectures):
            self._check_each(architectures)
        arrays = encode(architectures)
        mask = self.space.batch_masks(architectures, self.rule, self.cost)
        if not mask.any(-1).all():
            self._check_each(architectures)
        if self.network.config.budget:
            arrays |= self._budgeted(architectures, budget or Budget()).arrays
        device = self.network.primitives.device
        return {name: torch.as_tensor(a, device=device) for name, a in (arrays | {"action_mask": mask}).items()}

    def _observe_within(self, architecture: Architecture, budget: Budget) -> dict[str, Tensor]:
        """With the budget, or a larger one: the one whose most probable transformation comes nearest to the budget.

        A policy keeps to budgets by sums of prices. Where these are bounds it would spend a fraction of what it may.
        """
        if not (budget and self.network.config.budget and self.space.prices_are_bounds):
            return self.observe([architecture], budget)
        told = [self.observe([architecture], budget.scaled(factor)) for factor in TOLD]
        spent = []
        for obs in told:
            cost = self.space.cost(self.space.prune(self._decode([architecture], obs, True)[0]))
            share = float((np.array([cost.params, cost.madds]) / budget.limits).max())
            spent.append(share if share <= 1 else -1.0)
        return told[int(np.argmax(spent))]

    def _budgeted(self, architectures: Sequence[Architecture], budget: Budget) -> Budgeted:
        """What transforms may spend."""
        batch = Batch.of(self.space, architectures)
        seen = np.array([kind in self.network.config.budget for kind in RESOURCES])
        held = np.where(seen, batch.costs.astype(float), np.inf)
        return Budgeted.of(batch, np.minimum(budget.limits, held))

    def _check_each(self, architectures: Sequence[Architecture]) -> None:
        for architecture in architectures:
            self.space.check(architecture)

    @checked
    def transform_batch(
        self,
        architectures: Sequence[Architecture],
        *,
        deterministic: bool = True,
        seed: Seed = 0,
        temperature: Positive = 1.0,
    ) -> list[Architecture]:
        """One transformation of each architecture: the most probable one, or a sample that the seed determines.

        A `temperature` above 1 flattens what is sampled from.
        """
        generator = torch.Generator(self.network.primitives.device).manual_seed(seed)
        transformed: list[Architecture] = []
        for start in range(0, len(architectures), BATCH):
            batch = architectures[start : start + BATCH]
            transformed += self._decode(batch, self.observe(batch), deterministic, generator, temperature)
        return transformed

    @torch.inference_mode()
    def _decode(
        self,
        architectures: Sequence[Architecture],
        obs: dict[str, Tensor],
        deterministic: bool,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        penalty: Tensor | None = None,
    ) -> list[Architecture]:
        """One transformation of each, live where the architecture is."""
        actions, _, _ = self.network.sample(obs, deterministic, generator, temperature, penalty)
        masks, adjacency, features = (obs[k].cpu().numpy() for k in ("action_mask", "adjacency", "features"))
        wiring = wiring_of(adjacency, features)
        applied = apply_actions(self.space, architectures, actions.cpu().numpy(), masks, wiring).architectures
        if "budget" not in obs:
            return applied
        before, after = (Batch.of(self.space, found) for found in (architectures, applied))
        costs, slots = obs["costs"].cpu().numpy(), obs["budget"].cpu().numpy()
        within = Budgeted(np.zeros_like(slots), costs, slots)
        return list(before.with_choices(within.enforced(before, after.choices, masks)[0]))

    @torch.inference_mode()
    def log_probabilities(self, obs: dict[str, Tensor], transformed: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,): log-probability of N transformations of the one architecture that `obs` shows.

        Of the policy's actions: for the joint heads, a repaired transformation has others of its own besides.
        """
        column = {name: k for k, name in enumerate(self.space.primitives)}
        actions = torch.tensor([[column[op] for op in a.operations] for a in transformed])
        logits = self.network.evaluate(_repeat(obs, len(actions)), actions.to(self.network.primitives.device))
        masked = BMSoftmax.from_masked(logits.flatten(1), actions.shape[1])
        return masked.log_prob(actions.to(logits.device)).double().cpu().numpy()

    @checked
    def transform(
        self,
        architecture: Architecture,
        *,
        n: Annotated[int, Range(1, MOST)] = 10,
        evaluator: Evaluator | None = None,
        max_madds: float | str | None = None,
        max_params: float | str | None = None,
        seed: Seed = 0,
        space: Space | str | None = None,
        skeleton: Skeleton | None = None,
    ) -> Candidates:
        """The architecture, its most probable transformation, and up to `n` different samples.

        All are live if the architecture is, and none costs more (but cost="rule" is the published rule, which does not
        promise it). `.best` has the highest score within the budget; without evaluator it is the most probable
        transformation. Budgets are absolute, or shares of the original such as "80%", and hold for `skeleton` (the
        space's own by default). A policy that was trained with budgets (`RunSettings.budgets`) proposes nothing beyond
        them; where the first choice of another one exceeds them, operations are priced by what they cost, just so much
        that it fits. ValueError if n is not in 1 … 1,000,000, the architecture is not one of the space, or the
        budget is out of reach.
        """
        if evaluator is not None:
            check_evaluator(evaluator)
        if space is not None or skeleton is not None:
            other = self.space if space is None else space_of(space)
            return self.on(other if skeleton is None else other.on(skeleton)).transform(
                architecture, n=n, evaluator=evaluator, max_madds=max_madds, max_params=max_params, seed=seed
            )
        original = self.space.cost(self.space.check(architecture))
        budget = Budget.of(original, max_madds, max_params)
        obs = self._observe_within(architecture, budget)
        proposed, mode = self._propose(architecture, obs, n, seed, budget)
        found = [architecture, *map(self.space.prune, proposed[1:])]
        costs = tuple(self.space.cost(a) for a in found)
        assert self.cost == "rule" or all(cost <= original for cost in costs), "a candidate costs more"
        scores = None if evaluator is None else check_scores(evaluator.evaluate(found), found, evaluator.metric)
        log_probabilities = self.log_probabilities(obs, proposed)
        best = best_within(log_probabilities, costs, scores, mode, budget)
        return Candidates(tuple(found), log_probabilities, costs, scores, best, self.space)

    def _propose(
        self, architecture: Architecture, obs: dict[str, Tensor], n: int, seed: int, budget: Budget
    ) -> tuple[list[Architecture], int]:
        """Different candidates as decoded, the original first, and the index of the most probable transformation.

        With a budget the samples are within it, and so is one more: the most probable one at the lowest prices.
        """
        prices, modes = self._price(architecture, obs, budget)
        prune = self.space.prune
        found = {architecture.key: architecture}
        for mode in modes:
            found.setdefault(prune(mode).key, mode)
        count, limit = DRAWS * n, len(found) + n
        # At lower prices more samples are too dear, but those that are not keep more of what the policy would keep.
        penalty = torch.linspace(0.5, 1.0, count).to(prices)[:, None, None] * prices
        generator = torch.Generator(prices.device).manual_seed(seed)
        for temperature in TEMPERATURES:
            drawn = self._decode(
                [architecture] * count, _repeat(obs, count), False, generator, temperature, penalty=penalty
            )
            for sample in drawn:
                pruned = prune(sample)
                if len(found) < limit and budget.allows(self.space.cost(pruned)):
                    found.setdefault(pruned.key, sample)
            if len(found) == limit:
                break
        return list(found.values()), list(found).index(prune(modes[0]).key)

    def _price(
        self, architecture: Architecture, obs: dict[str, Tensor], budget: Budget
    ) -> tuple[Tensor, list[Architecture]]:
        """Prices of operations in logits (E, K), proportional to what they cost, as low as the budget lets them be.

        And the most probable transformations, without prices and at these: the second one is within the budget.
        """
        mask = obs["action_mask"][0].cpu().numpy()
        cheap = cheapest_within(budget, architecture, mask, self.space)
        if "budget" in obs:
            return obs["features"].new_zeros(mask.shape), self._decode([architecture], obs, True)
        table = self.space.cost_table(architecture)
        share = torch.as_tensor(budget.shares(table, self.space.primitives)).to(obs["features"])
        prices = share.new_tensor(PRICES if budget else PRICES[:1])[:, None, None] * share
        count = len(prices)
        modes = self._decode([architecture] * count, _repeat(obs, count), True, penalty=prices)
        for price, mode in zip(prices, modes, strict=True):
            if budget.allows(self.space.cost(self.space.prune(mode))):
                return price, [modes[0], mode]
        return prices[-1], [modes[0], cheap]


@checked
def load_policy(run_or_dir: Path | str, *, space: Space | str | None = None) -> Policy:
    """The policy in a directory that `Policy.save` wrote, or in the `policy` folder of a run.

    "pretrained" and "pretrained:NAME" are those that come with natrl (`natrl.policies.pretrained`).

    It acts on the space that it was saved with, or on `space`: a policy of a user's own network is saved with the name
    of a space that no registry knows. ValueError in one line if there is none, it is damaged, or it was made with
    another vocabulary.
    """
    network, stored = read_policy(policy_path(run_or_dir))
    home = space_of(stored.space if space is None else space)
    if network.config.primitives != home.primitives and space is not None:
        network = network.with_primitives(home.primitives)
    return Policy(network, home, cast(Rule, stored.rule), cast(CostMode, stored.cost))


def _repeat(obs: dict[str, Tensor], count: int) -> dict[str, Tensor]:
    """One observation, `count` times."""
    return {name: tensor.expand(count, *tensor.shape[1:]) for name, tensor in obs.items()}
