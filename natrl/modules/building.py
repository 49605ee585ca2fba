"""Networks of a space: copies of the user's in which layers are replaced, narrower, or left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torch import nn

from natrl.checks.errors import summary
from natrl.modules.replace.copies import copied
from natrl.modules.replace.replacements import nothing, replacement
from natrl.modules.replace.widths import Narrowing, WidthSlot
from natrl.modules.slots import ModuleSlot
from natrl.modules.trace.sandbox import Sandbox

__all__ = ["Builder", "draw_anew"]


class Builder:
    """Makes them. `operations`: of each slot, then of each width, by its name; nothing unused among them is active."""

    def __init__(
        self, model: nn.Module, sandbox: Sandbox, slots: Sequence[ModuleSlot], widths: Sequence[WidthSlot]
    ) -> None:
        self._model, self._sandbox, self._slots = model, sandbox, tuple(slots)
        self.narrowing = Narrowing(model, widths)

    def build(self, operations: Mapping[str, str], left_out: Collection[str], untrained: Collection[str]) -> nn.Module:
        """The network without these layers, and with these parameters not to be trained."""
        narrow = self.narrowing.layers(operations)
        layers = dict(narrow)
        for slot in self._slots:
            if (op := operations[slot.name]) != slot.operation:
                layers[slot.name] = replacement(narrow.get(slot.name, self._model.get_submodule(slot.name)), op)
        for name in left_out:
            layer = self._model.get_submodule(name)
            layers[name] = nothing(narrow.get(name, layer)).train(layer.training)
        network = copied(self._model, {self._model.get_submodule(name): layer for name, layer in layers.items()})
        for name, parameter in network.named_parameters():
            if name in untrained:
                parameter.requires_grad_(False)
        return network

    def verify(self, network: nn.Module) -> None:
        """Runs a copy once, on shapes where that is possible. ValueError if it does not run."""
        try:
            self._sandbox.run(self._sandbox.copy(network))
        except Exception as error:  # by the model's own code
            what = f"{type(self._model).__name__} does not run with these replacements"
            raise ValueError(f"{what}: {summary(error)}") from None


def draw_anew(network: nn.Module) -> nn.Module:
    """The network with weights drawn at random. ValueError naming a part whose weights cannot be drawn anew."""
    for name, module in network.named_modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
        elif any(True for _ in module.parameters(recurse=False)):
            kind = type(module).__name__
            raise ValueError(f"{name or kind} ({kind}) has weights, and no reset_parameters to draw them anew")
    return network
