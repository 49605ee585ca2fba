"""Stands for a network and images of yours: scikit-learn's digits as files, and a ResNet-18 trained on them.

python examples/own_network.py

writes images/CLASS/NUMBER.png (1,797 of them, 16×16 pixels) and resnet18.safetensors into the current folder, in a
minute. `natrl transform examples.own_network:build_model` calls the function below.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from torch import nn, Tensor
from torchvision.transforms import v2

from natrl.data import ImageData, load_data
from natrl.training.fitting import fit, measure
from natrl.training.schedule import Schedule
from natrl.training.weights import save_weights

IMAGES, WEIGHTS = Path("images"), Path("resnet18.safetensors")
SIZE = 16  # pixels
SHOWN = 8  # images of the picture
LEAST = 100  # images: some of each class in every split
NORMALISE = v2.Normalize([0.31] * 3, [0.38] * 3)


def build_model() -> nn.Module:
    """The trained network."""
    model = torchvision.models.resnet18(num_classes=10)
    model.load_state_dict(load_file(WEIGHTS))
    return model


def prepare(image: Image.Image | Tensor) -> Tensor:
    """An image as the network takes it: (3, 16, 16), normalised."""
    return v2.Compose([v2.ToImage(), v2.Resize(SIZE), v2.ToDtype(torch.float32, scale=True), NORMALISE])(image)


def write_images(folder: Path, count: int) -> None:
    """A folder a class, as `--data folder:images` takes them."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images[:count], digits.target[:count], strict=True)):
        path = folder / str(label) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 255 / 16).astype("uint8")).resize((SIZE, SIZE)).save(path)


def draw(path: Path, model: nn.Module, data: ImageData) -> None:
    """Some validation images, and which digit the network takes each for."""
    from _pictures import draw_named  # found beside this file, where it is run and not imported

    spread = range(0, len(data.validation), len(data.validation) // SHOWN)[:SHOWN]
    images = torch.stack([data.validation[i][0] for i in spread])
    with torch.no_grad():
        answers = model.eval()(images).argmax(1).tolist()
    draw_named(path, images, [f"a {data.class_names[answer]}" for answer in answers])


def main(argv: Sequence[str] | None = None) -> None:
    from _numbers import at_least, count  # as above

    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--epochs", type=count, default=6)
    options.add_argument("--images", type=at_least(LEAST), default=1797)
    options.add_argument("--picture", type=Path, help="draw validation images, and what the network takes them for")
    arguments = options.parse_args(argv)
    write_images(IMAGES, arguments.images)
    data = load_data(f"folder:{IMAGES}")
    model = torchvision.models.resnet18(num_classes=10)
    fit(model, data, Schedule(epochs=arguments.epochs, batch_size=64, learning_rate=0.1, warmup=0.2), seed=0)
    save_weights(model, WEIGHTS)
    print(f"{measure(model, data.validation).accuracy:.1%} of the validation images")
    if arguments.picture:
        draw(arguments.picture, model, data)


if __name__ == "__main__":
    main()
