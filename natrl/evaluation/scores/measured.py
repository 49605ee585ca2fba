"""A named score on a data set, as a function of a network; and networks as such scores and losses take them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn, Tensor
from torch.utils.data import Dataset

from natrl.data import batches
from natrl.data.arrays import Arrays
from natrl.data.contents import contents
from natrl.evaluation.scores.named import NamedScore

__all__ = ["Answers", "MeasuredScore"]

BATCH = 32  # examples; of segmentation, outputs take much memory


class Answers(nn.Module):
    """A network that gives its "out" alone where its outputs are a dict, as torchvision's segmentation networks'."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.training = network, network.training

    def forward(self, inputs: Tensor) -> Any:
        outputs = self.network(inputs)
        return outputs["out"] if isinstance(outputs, dict) and "out" in outputs else outputs


class MeasuredScore:
    """network → its score on all examples of a data set."""

    def __init__(self, named: NamedScore, dataset: Dataset[Any]) -> None:
        self.__name__, self.named, self.dataset = named.name, named, dataset

    def __call__(self, network: nn.Module) -> float:
        """The network is in evaluation mode. ValueError of the metric's where outputs cannot be measured."""
        return self.named.metric(self.answers(network))

    def answers(self, network: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
        """Outputs and labels of all examples, in batches, on the CPU."""
        device = next((tensor.device for tensor in network.parameters()), torch.device("cpu"))
        answering = Answers(network)
        for inputs, labels in batches(self.dataset, BATCH, device=device):
            yield answering(inputs).float().cpu(), labels.cpu()

    def __described__(self) -> Any:
        return self.named, contents(self.dataset)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"dataset": Arrays.of(self.dataset)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        held = state["dataset"]
        self.__dict__.update(state | {"dataset": held.dataset() if isinstance(held, Arrays) else held})
