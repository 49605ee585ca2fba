"""Images as a network was trained on them: numbers, nothing, or a function, and not what natrl would do by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import TensorDataset
from torchvision.transforms import v2

from natrl.data import ImageData, load_data
from natrl.data.own import _from_arrays
from natrl.data.preprocessing import Preprocessing
from natrl.data.raw import RawData

RNG = np.random.default_rng(0)
COLOURED = RNG.integers(0, 256, (40, 6, 6, 3), dtype=np.uint8)
LABELS = np.arange(40) % 4
FINITE = st.floats(-5, 5)
POSITIVE = st.floats(0.01, 5)


def coloured(**given: Any) -> ImageData:
    raw = _from_arrays("mine", COLOURED, LABELS)
    assert isinstance(raw, RawData)
    return raw.build(
        seed=0,
        image_size=given.pop("image_size", None),
        preprocessing=Preprocessing.of(given.get("mean"), given.get("std"), given.get("transform")),
    )


def shown(data: ImageData) -> Tensor:
    """All test images."""
    return torch.stack([data.test[i][0] for i in range(len(data.test))])  # type: ignore[arg-type]


def expected(data: ImageData) -> Tensor:
    """The same in [0, 1], from the arrays."""
    return torch.from_numpy(COLOURED[data.indices["test"]]).permute(0, 3, 1, 2) / 255


def standard(mean: list[float], std: list[float]) -> v2.Compose:
    """As everybody writes it."""
    return v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])


def test_digits_that_are_not_normalised_lie_in_0_to_1() -> None:
    data = load_data("digits", mean="none")
    wanted = torch.from_numpy(load_digits().images[data.indices["test"]]).float()[:, None] / 16
    torch.testing.assert_close(shown(data), wanted)
    assert data.preprocessing == "not normalised"
    assert load_data("digits", std="none").digest == load_data("digits", mean="none", std="none").digest == data.digest


@given(st.tuples(FINITE, FINITE, FINITE), st.tuples(POSITIVE, POSITIVE, POSITIVE), st.booleans())
@settings(max_examples=20)
def test_numbers_refer_to_images_in_0_to_1(mean: tuple[float, ...], std: tuple[float, ...], as_text: bool) -> None:
    given: dict[str, Any] = {"mean": mean, "std": std}
    if as_text:
        given = {name: ",".join(map(repr, numbers)) for name, numbers in given.items()}
    data = coloured(**given)
    wanted = (expected(data) - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    torch.testing.assert_close(shown(data), wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(shown(coloured(transform=standard(list(mean), list(std)))), wanted, rtol=1e-4, atol=1e-4)


def test_numbers_may_be_arrays_and_tensors() -> None:
    wanted = coloured(mean=(0.5, 0.25, 0.125), std=0.5)
    for numbers in (np.array([0.5, 0.25, 0.125]), torch.tensor([0.5, 0.25, 0.125]), "0.5, 0.25, 0.125"):
        data = coloured(mean=numbers, std=np.float32(0.5))
        assert data.digest == wanted.digest
        assert data.preprocessing == "normalised by mean 0.5, 0.25, 0.125 and std 0.5"
    assert torch.equal(shown(coloured(mean="None", std=torch.tensor(1.0))), shown(coloured(mean="none")))


def test_the_border_of_crops_is_black_however_images_are_prepared() -> None:
    by_numbers = coloured(mean=(0.5, 0.4, 0.3), std=0.25).augmentation
    assert by_numbers.fill == pytest.approx((-2.0, -1.6, -1.2))
    prepare = v2.Compose(
        [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5, 0.4, 0.3], [0.25] * 3)]
    )
    assert coloured(transform=prepare).augmentation.fill == pytest.approx((-2.0, -1.6, -1.2))


def to_five_pixels(image: Image.Image) -> Tensor:
    assert isinstance(image, Image.Image)
    return torch.from_numpy(np.array(image.resize((5, 5)).convert("L"))).float()[None] / 255


def test_a_transform_says_size_and_channels() -> None:
    data = coloured(transform=to_five_pixels)
    assert (data.image_size, data.image_channels) == (5, 1)
    assert isinstance(data.test, TensorDataset)
    assert data.preprocessing == "by to_five_pixels"
    wanted = to_five_pixels(Image.fromarray(COLOURED[data.indices["test"][0]]))
    torch.testing.assert_close(shown(data)[0], wanted)
    with pytest.raises(ValueError, match="leave image_size out"):
        coloured(transform=to_five_pixels, image_size=8)


def test_many_transformed_images_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    held = coloured(transform=to_five_pixels)
    monkeypatch.setattr("natrl.data.transforms.MOST_IN_MEMORY", 100)
    read = coloured(transform=to_five_pixels)
    assert not isinstance(read.test, TensorDataset)
    assert torch.equal(shown(read), shown(held))


def test_folders_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i, image in enumerate(COLOURED):
        path = tmp_path / "images" / f"class{LABELS[i]}" / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (tmp_path / "mine_prepared.py").write_text(
        "import torch\nfrom torchvision.transforms.v2.functional import pil_to_tensor\n"
        "def prepare(image): return pil_to_tensor(image) / 255\nnumber = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    by_function = load_data("folder:images", transform="mine_prepared:prepare")
    by_numbers = load_data("folder:images", mean="none")
    torch.testing.assert_close(shown(by_function), shown(by_numbers))
    assert by_function.preprocessing == "by mine_prepared:prepare"
    assert 0 <= shown(by_numbers).min() < shown(by_numbers).max() <= 1
    with pytest.raises(ValueError, match="transform must be a function of one image, or module:object, got int"):
        load_data("folder:images", transform="mine_prepared:number")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mean": 0.5}, "mean needs std, too"),
        ({"std": "0.5"}, "std needs mean, too"),
        (
            {"mean": "0.5,x", "std": 1},
            r"mean must be a number, one a channel \(such as .*\), or none, got '0.5,x'",
        ),
        ({"mean": float("nan"), "std": 1}, "mean must be a number"),
        ({"mean": 1e300, "std": 1}, "mean must be a number"),
        ({"mean": True, "std": 1}, "mean must be a number"),
        ({"mean": 0, "std": 1e-300}, "std must be above 0"),
        ({"mean": [], "std": 1}, "mean must be a number"),
        ({"mean": object(), "std": 1}, "mean must be a number"),
        ({"mean": 0, "std": "0"}, r"std must be above 0 \(at least 1e-06\), got 0"),
        ({"mean": (0, 0), "std": 1}, r"mean has 2 numbers, but images have 3 channel\(s\)"),
        ({"mean": "none", "transform": to_five_pixels}, "leave mean and std out"),
        ({"transform": 3}, "transform must be a function of one image, or module:object, got int"),
        ({"transform": lambda image: image}, "must give a floating-point tensor .*, got Image"),
        ({"transform": lambda image: torch.zeros(1, 4, 4, dtype=torch.uint8)}, r"got shape \(1, 4, 4\), torch.uint8"),
        ({"transform": lambda image: torch.zeros(1, 4, 5)}, r"must give square images, got \(1, 4, 5\)"),
        ({"transform": lambda image: torch.rand(1, 4, 4)}, "another image each time: give the one for evaluation"),
        ({"transform": lambda image: image.nothing}, "fails on the first image: .*nothing"),
    ],
)
def test_what_does_not_fit_is_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        coloured(**given)
    assert "\n" not in str(caught.value)


def test_image_data_refuses_what_it_would_ignore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_whole.py").write_text(
        "from natrl.data import load_data\ndef whole(): return load_data('digits')\n"
    )
    monkeypatch.chdir(tmp_path)
    assert load_data("mine_whole:whole", image_size=8).name == "digits"
    for said in ({"mean": "none"}, {"transform": to_five_pixels}, {"image_size": 16}):
        with pytest.raises(
            ValueError, match=r"comes prepared \(ImageData, or loaders\): leave mean, std, transform and image_size out"
        ):
            load_data("mine_whole:whole", **said)  # type: ignore[arg-type]
