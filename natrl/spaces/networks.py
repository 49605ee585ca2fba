"""What knows the networks of architectures: a space, or a skeleton that stacks cells of any space."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable, TYPE_CHECKING

from natrl.core.architecture import Architecture
from natrl.core.operations import Cost

if TYPE_CHECKING:
    from torch import nn

    from natrl.spaces.counting import CostTable

__all__ = ["Images", "Networks"]


class Images(Protocol):
    """What networks must fit (such as a `natrl.data.ImageData`)."""

    @property
    def image_size(self) -> int: ...  # height = width in pixels

    @property
    def image_channels(self) -> int: ...

    @property
    def num_classes(self) -> int: ...


@runtime_checkable
class Networks(Protocol):
    """What architectures cost, and their networks (`Space` says what each method does)."""

    def cost(self, architecture: Architecture) -> Cost: ...

    def cost_table(self, architecture: Architecture) -> CostTable: ...

    def fitted(self, images: Any) -> Networks: ...

    def build(self, architecture: Architecture, *, auxiliary: bool = False) -> nn.Module: ...

    def fresh(self, architecture: Architecture, *, auxiliary: bool = False) -> nn.Module: ...

    def identity(self) -> dict[str, Any]: ...
