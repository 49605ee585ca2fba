"""Networks by name, as the command line takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import nn, Tensor

from natrl.checks.arguments import checked
from natrl.checks.errors import said
from natrl.documents import open_file, shown
from natrl.registry import find_object, returned_by

__all__ = ["DEFAULT", "PublishedNetwork", "has_published_weights", "input_shape", "load_network", "load_published"]

DEFAULT = "DEFAULT"  # weights: the published ones


class PublishedNetwork(NamedTuple):
    """A network with published weights, and how images are prepared for it."""

    network: nn.Module
    transform: Callable[[Any], Tensor]  # of one PIL image
    normalisation: dict[str, tuple[float, ...]]  # the part of it that is the same at every image size: mean, std


def has_published_weights(reference: str, weights: Path | str | None) -> bool:
    """Whether a network comes with published weights: torchvision's and timm's do, unless there is a file of others.

    ValueError where published weights are asked for of another network.
    """
    package = reference.partition(":")[0]
    if package in ("torchvision", "timm"):
        return weights is None or str(weights) == DEFAULT
    if str(weights) == DEFAULT:
        raise ValueError(f"--weights {DEFAULT} are of networks torchvision:NAME and timm:NAME, not {reference!r}")
    return False


def load_published(reference: str) -> PublishedNetwork:
    """A network of torchvision or timm with its weights, in evaluation mode. ValueError if these cannot be had."""
    network = load_network(reference, num_classes=0)
    package, _, name = reference.partition(":")
    if package == "torchvision":
        from torchvision.models import get_model_weights

        transform = get_model_weights(name)["DEFAULT"].transforms()
        return PublishedNetwork(network, transform, {"mean": tuple(transform.mean), "std": tuple(transform.std)})
    from timm.data.config import resolve_model_data_config
    from timm.data.transforms_factory import create_transform

    config = resolve_model_data_config(network)
    transform = create_transform(**config, is_training=False)
    return PublishedNetwork(network, transform, {"mean": tuple(config["mean"]), "std": tuple(config["std"])})


@checked
def load_network(
    reference: str, *, num_classes: int | None, weights: Path | str | None = None, untrained: bool = False
) -> nn.Module:
    """The network of that name in evaluation mode.

    "torchvision:NAME" and "timm:NAME" come with their published weights (which may be downloaded), or, with a file of
    one's own or `untrained`, with `num_classes` outputs (None: as many as it was published with); "module:function" is
    what the function returns, "module:object" a network itself. `weights`: a state_dict, as .safetensors, or as
    torch.save wrote it (read without unpickling code). ValueError in one line where that fails.
    """
    weights = None if has_published_weights(reference, weights) or weights is None else Path(weights)
    package, _, name = reference.partition(":")
    if package == "torchvision":
        network = _torchvision(name, num_classes, published=not untrained and weights is None)
    elif package == "timm":
        network = _timm(name, num_classes, published=not untrained and weights is None)
    else:
        what = f"network {reference!r}"
        found = find_object(reference, what)
        network = returned_by(found, what) if callable(found) and not isinstance(found, nn.Module) else found
        if not isinstance(network, nn.Module):
            raise ValueError(f"{what}: expected an nn.Module, got {type(network).__name__}")
    if weights is not None:
        _load(network, weights, reference)
    return network.eval()


def input_shape(reference: str, network: nn.Module) -> tuple[int, int, int]:
    """(channels, height, width) of the images that the network of that name was published for.

    Of a user's own network the channels are what its first convolution reads, and 224 pixels are a guess.
    """
    package, _, name = reference.partition(":")
    if package == "torchvision":
        from torchvision.models import get_model_weights

        (size,) = get_model_weights(name)["DEFAULT"].transforms().crop_size
        return 3, size, size
    if package == "timm":
        from timm.data.config import resolve_model_data_config

        channels, height, width = resolve_model_data_config(network)["input_size"]
        return channels, height, width
    first = next((layer for layer in network.modules() if isinstance(layer, nn.Conv2d)), None)
    return 3 if first is None else first.in_channels, 224, 224


def _torchvision(name: str, num_classes: int | None, *, published: bool) -> nn.Module:
    import torchvision  # takes a second or two

    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        near = [n for n in known if name and name[:6] in n] or known
        raise ValueError(
            f"torchvision has no classification network {name!r:.60}; it has: {shorten(', '.join(near), 200)}"
        )
    if not published:
        return torchvision.models.get_model(name, weights=None, **_outputs(num_classes))
    return _with_published_weights(name, lambda: torchvision.models.get_model(name, weights="DEFAULT"))


def _timm(name: str, num_classes: int | None, *, published: bool) -> nn.Module:
    try:
        import timm
    except ModuleNotFoundError:
        raise ValueError(f"network 'timm:{name}': timm is not installed (pip install timm)") from None
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name[:6]}*")[:8])
        raise ValueError(
            f"timm has no network {name!r}; " + (f"near it: {near}" if near else "timm.list_models() has all")
        )
    if not published:
        return timm.create_model(name, pretrained=False, **_outputs(num_classes))
    return _with_published_weights(name, lambda: timm.create_model(name, pretrained=True))


def _outputs(num_classes: int | None) -> dict[str, Any]:
    return {} if num_classes is None else {"num_classes": num_classes}


def _with_published_weights(name: str, build: Any) -> nn.Module:
    try:
        return build()
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"the published weights of {name!r} could not be had ({said(error, 160)}); give --weights FILE"
        ) from None


def _load(network: nn.Module, path: Path, reference: str) -> None:
    try:
        network.load_state_dict(_state(path))
    except Exception as error:  # torch stumbles over bytes of any kind in ways of any kind
        raise ValueError(f"--weights {str(path)!r} do not fit {reference!r}: {said(error, 240)}") from None


def _state(path: Path) -> Mapping[str, Tensor]:
    open_file(path).close()  # no pipe: that would be waited for
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:
        wanted = "no state_dict as torch.save(model.state_dict(), FILE) or safetensors writes it"
        raise TypeError(f"it holds {wanted} ({error!r:.100})") from None
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise TypeError(f"it holds no state_dict but {shown(state)}")
    return state
