"""The embedded digits, names, and what stands in every ImageData."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from natrl.data import Augmentation, DATA, ImageData, load_data


def test_digits() -> None:
    data = load_data("digits")
    assert (data.name, data.num_classes, data.image_size, data.image_channels) == ("digits", 10, 8, 1)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [800, 450, 547]
    assert data.class_names == tuple("0123456789")
    assert not data.augmentation.flip, "a mirrored digit is not a digit"
    image, label = data.train[0]
    assert image.shape == (1, 8, 8)
    assert image.dtype == torch.float32
    assert label.dtype == torch.int64


def test_training_images_have_mean_0_and_deviation_1() -> None:
    data = load_data("digits")
    for part, tolerance in ((data.train, 1e-5), (data.validation, 0.02), (data.test, 0.02)):
        images = part.tensors[0]
        assert abs(float(images.mean())) < tolerance
        assert abs(float(images.std(correction=0)) - 1) < tolerance
    assert float(data.validation.tensors[0].mean()) != 0, "only the training split is normalised by itself"


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_splits_of_digits(seed: int) -> None:
    """Disjoint and the whole: the splits hold the images of scikit-learn, each once."""
    from sklearn.datasets import load_digits

    data = load_data("digits", seed=seed)
    parts = [part.tensors for part in (data.train, data.validation, data.test)]
    wanted = load_digits()
    counts = np.bincount(wanted.target)
    for _, labels in parts:
        assert np.all(np.abs(np.bincount(labels) - counts * len(labels) / 1797) < 2)

    def sorted_rows(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        rows = np.column_stack([np.round(images.reshape(1797, 64)), labels])
        return rows[np.lexsort(rows.T)]

    mean, std = wanted_statistics(data)
    images = torch.cat([part[0] for part in parts]) * std + mean
    labels = torch.cat([part[1] for part in parts])
    assert np.array_equal(sorted_rows(images.numpy(), labels.numpy()), sorted_rows(wanted.images, wanted.target))


def wanted_statistics(data: ImageData) -> tuple[float, float]:
    """Mean and deviation of the original training images, from the values that 0 and 16 became."""
    images = data.train.tensors[0]
    low, high = float(images.min()), float(images.max())
    std = 16 / (high - low)
    return -low * std, std


def test_the_seed_fixes_the_splits() -> None:
    first, again, other = (load_data("digits", seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.test.tensors[1], again.test.tensors[1])
    assert torch.equal(first.train.tensors[0], again.train.tensors[0])
    assert not np.array_equal(first.indices["validation"], other.indices["validation"])


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.sampled_from([None, 4]))
@settings(max_examples=10)
def test_what_is_tested_on_is_never_trained_or_chosen_on(seed: int, other: int, size: int | None) -> None:
    first, second = load_data("digits", seed=seed), load_data("digits", seed=other, image_size=size)
    assert np.array_equal(first.indices["test"], second.indices["test"])
    assert torch.equal(first.test.tensors[1], second.test.tensors[1])
    labels = torch.from_numpy(load_digits().target)
    for data in (first, second):
        assert torch.equal(data.test.tensors[1], labels[data.indices["test"]])
        assert torch.equal(data.validation.tensors[1], labels[data.indices["validation"]])
        assert not set(data.indices["test"]) & set(data.indices["validation"])


def test_it_says_where_its_images_come_from() -> None:
    assert load_data("digits", seed=3).describe() == (
        "digits: 800 training images, 450 validation images (drawn by seed 3 from images that come as one part, which "
        "a network of yours may have seen) and 547 test images (drawn from images that come as one part, the same ones "
        "whatever the seed); images normalised by the mean and deviation of the training split"
    )


def test_images_are_resized() -> None:
    data, small, large = (load_data("digits", image_size=size) for size in (None, 4, 16))
    assert (small.image_size, large.image_size) == (4, 16)
    assert small.train[0][0].shape == (1, 4, 4)
    assert large.train[0][0].shape == (1, 16, 16)
    pooled = torch.nn.functional.avg_pool2d(data.train.tensors[0], 2)
    pooled = (pooled - pooled.mean()) / pooled.std(correction=0)
    torch.testing.assert_close(small.train.tensors[0], pooled, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["nope", "", "mnist2", "folder"])
def test_unknown_names_list_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=r"unknown data .*; known: digits, cifar10-jpeg, mnist") as caught:
        load_data(name)
    assert "\n" not in str(caught.value)
    assert all(known in str(caught.value) for known in DATA.names())


def test_names_are_read_in_any_case_and_without_hyphens() -> None:
    assert load_data("Digits").name == "digits"


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_bad_image_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="image_size must be a whole number of pixels"):
        load_data("digits", image_size=size)


def test_bad_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="seed of the splits"):
        load_data("digits", seed=-1)


def test_image_data_checks_its_classes() -> None:
    data = load_data("digits")
    parts = (data.train, data.validation, data.test)
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        ImageData("mine", *parts, 1, 8, 1, ("a",), augmentation=Augmentation())
    with pytest.raises(ValueError, match="1 names for 10 classes"):
        ImageData("mine", *parts, 10, 8, 1, ("a",), augmentation=Augmentation())


def test_cifar10_jpeg_says_where_it_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NATRL_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=rf"cifar10_jpeg_q75_pack.npz; it is not in {tmp_path}"):
        load_data("cifar10-jpeg")
    monkeypatch.delenv("NATRL_DATA")
    with pytest.raises(ValueError, match=r"NATRL_DATA must name the folder .* it is not set"):
        load_data("cifar10-jpeg")


def test_cifar10_jpeg_is_decoded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From a pack made here: the header of JPEG files is split off, as it is the same in all of them."""
    images = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), dtype=np.uint8)
    encoded, decoded = zip(*(jpeg_and_pixels(image) for image in images), strict=True)
    scans = [data[len(header_of(encoded)) : -2] for data in encoded]
    packed = {"header": np.frombuffer(header_of(encoded), np.uint8)}
    for split, chosen in (("train", slice(0, 30)), ("test", slice(30, 50))):
        packed[f"scan_{split}"] = np.frombuffer(b"".join(scans[chosen]), np.uint8)
        packed[f"len_{split}"] = np.array([len(scan) for scan in scans[chosen]], np.uint16)
        packed[f"y_{split}"] = np.arange(50, dtype=np.uint8)[chosen] % 10
    np.savez(tmp_path / "cifar10_jpeg_q75_pack.npz", **packed)
    monkeypatch.setenv("NATRL_DATA", str(tmp_path))
    monkeypatch.setattr("natrl.data.raw.HELD_OUT", 1 / 3)  # each split must hold the ten classes
    data = load_data("CIFAR10-JPEG")
    assert data.name == "CIFAR-10 (JPEG copy)"
    assert data.augmentation.flip
    assert data.augmentation.padding == 4
    assert [len(part) for part in (data.train, data.validation, data.test)] == [20, 10, 20]
    assert data.test.tensors[1].tolist() == list(range(10)) * 2
    pixels = torch.from_numpy(np.stack(decoded[30:])).permute(0, 3, 1, 2).double()
    for channel in range(3):
        shown = data.test.tensors[0][:, channel].flatten().double()
        assert float(torch.corrcoef(torch.stack([shown, pixels[:, channel].flatten()]))[0, 1]) > 1 - 1e-6


def jpeg_and_pixels(image: np.ndarray) -> tuple[bytes, np.ndarray]:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=75)
    return buffer.getvalue(), np.asarray(Image.open(buffer))


def header_of(files: tuple[bytes, ...]) -> bytes:
    """Everything up to the scan: the start-of-scan segment has a fixed length of 12 bytes behind its marker."""
    end = files[0].index(b"\xff\xda") + 14
    assert all(data[:end] == files[0][:end] for data in files)
    return files[0][:end]


def test_the_real_cifar10_jpeg(natrl_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last 10 test images of the pack of 60,000 only: decoding all of them takes 10 s."""
    from natrl.data.embedded import _jpeg_part

    with np.load(natrl_data / "cifar10_jpeg_q75_pack.npz") as pack:
        lengths = pack["len_test"][:10].astype(int)
        few = {"header": pack["header"], "scan_test": pack["scan_test"][: lengths.sum()], "len_test": lengths}
        part = _jpeg_part(few | {"y_test": pack["y_test"][:10]}, "test")
    assert part.images.shape == (10, 3, 32, 32)
    assert part.labels.tolist() == [0] * 10  # the pack is sorted by class
    assert 100 < float(part.images.float().mean()) < 160
    differences = part.images.float().diff(dim=3).abs().mean()
    assert float(differences) < 20, "neighbouring pixels of photographs are alike"


def test_reading_digits_imports_no_torchvision() -> None:  # a new process imports torch: about 3 s
    code = (
        "import sys, natrl.data as d; d.load_data('digits'); print('torchvision' in sys.modules, 'ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
