"""Folders of images: parts, laziness, and what is wrong with a folder in one line."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from natrl.data import batches, load_data


def write(folder: Path, classes: dict[str, int], size: tuple[int, int] = (10, 8)) -> None:
    """PNG files: n images of (width, height) a class, image i of the c-th class filled with 40·c + i."""
    for c, (name, n) in enumerate(sorted(classes.items())):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            Image.new("RGB", size, (40 * c + i,) * 3).save(folder / name / f"{i:03}.png")


def sizes(data: object) -> list[int]:
    return [len(getattr(data, part)) for part in ("train", "validation", "test")]


def test_one_folder_of_classes_is_split(tmp_path: Path) -> None:
    write(tmp_path, {"cat": 10, "dog": 20})
    data = load_data(f"folder:{tmp_path}")
    assert (data.class_names, data.num_classes, data.image_channels) == (("cat", "dog"), 2, 3)
    assert data.image_size == 8, "the shorter side"
    assert sizes(data) == [18, 6, 6]
    assert data.augmentation.flip
    brightness = [
        round(float(image.mean()), 4)
        for part in (data.train, data.validation, data.test)
        for image, _ in (part[i] for i in range(len(part)))
    ]
    assert len(set(brightness)) == 30, "disjoint"
    assert sorted(load_data(f"folder:{tmp_path}").test.indices) == sorted(data.test.indices)
    other = load_data(f"folder:{tmp_path}", seed=1)
    assert sorted(other.test.indices) == sorted(data.test.indices)
    assert sorted(other.validation.indices) != sorted(data.validation.indices)


def test_three_parts_are_kept(tmp_path: Path) -> None:
    for part, n in (("train", 5), ("val", 3), ("test", 2)):
        write(tmp_path / part, {"a": n, "b": n})
    assert sizes(load_data(f"folder:{tmp_path}")) == [10, 6, 4]


def test_a_test_folder_is_the_test(tmp_path: Path) -> None:
    write(tmp_path / "train", {"a": 10, "b": 10})
    write(tmp_path / "test", {"a": 3, "b": 4})
    data = load_data(f"folder:{tmp_path}", seed=3)
    assert sizes(data) == [16, 4, 7]
    assert (
        ": 16 training images, 4 validation images (drawn by seed 3 from the training part, all of which a network of "
        "yours may have seen) and 7 test images (the data's own);"
    ) in data.describe()


def test_without_a_test_folder_half_of_val_is_the_test_and_train_stays_whole(tmp_path: Path) -> None:
    """What a user trained on is neither chosen nor tested on."""
    write(tmp_path / "train", {"a": 10, "b": 10})
    write(tmp_path / "val", {"a": 4, "b": 4})
    data, other = (load_data(f"folder:{tmp_path}", seed=seed) for seed in (0, 1))
    assert sizes(data) == [20, 4, 4]
    assert not set(data.validation.indices) & set(data.test.indices)
    assert data.test.indices.tolist() == other.test.indices.tolist() == data.indices["test"].tolist()
    assert "half of the data's own validation part" in data.describe()


def test_a_train_folder_alone_is_split(tmp_path: Path) -> None:
    write(tmp_path / "train", {"a": 10, "b": 10})
    assert sizes(load_data(f"folder:{tmp_path}")) == [12, 4, 4]


def test_images_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"a": 10, "b": 10})
    data = load_data(f"folder:{tmp_path}", image_size=4)
    image, label = data.validation[0]
    assert image.shape == (3, 4, 4)
    assert label in (0, 1)
    copy = pickle.loads(pickle.dumps(data))
    assert torch.equal(copy.validation[0][0], image)
    shutil.rmtree(tmp_path / "a")
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(ValueError, match=r"image \d+ of the data cannot be read: .*No such file"):
        data.validation[0]


def test_the_digest_knows_files_by_what_they_hold(tmp_path: Path) -> None:
    write(tmp_path / "here", {"a": 10, "b": 10})
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    here, there = (load_data(f"folder:{tmp_path / name}") for name in ("here", "there"))
    assert here.digest == there.digest == pickle.loads(pickle.dumps(here)).digest
    path, _ = there.train.source.samples[there.train.indices[0]]
    Image.new("RGB", (10, 8), (255,) * 3).save(path)
    changed = load_data(f"folder:{tmp_path / 'there'}").digest
    small = load_data(f"folder:{tmp_path / 'here'}", image_size=4).digest
    other = load_data(f"folder:{tmp_path / 'here'}", seed=1).digest
    assert len({here.digest, changed, small, other}) == 4


def test_normalised_by_the_training_split(tmp_path: Path) -> None:
    write(tmp_path, {"a": 12, "b": 12})
    data = load_data(f"folder:{tmp_path}")
    images = torch.cat([images for images, _ in batches(data.train, 5)])
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_the_shorter_side_is_shrunk_and_the_centre_shown(tmp_path: Path) -> None:
    write(tmp_path, {"a": 5, "b": 5})
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 2:14] = 200  # the middle is bright
    for path in tmp_path.rglob("*.png"):
        Image.fromarray(wide + int(path.stem)).save(path)
    image, _ = load_data(f"folder:{tmp_path}", image_size=4).train[0]
    assert image.shape == (3, 4, 4)
    torch.testing.assert_close(image, image[:, :1, :1].expand_as(image), msg="only the bright middle is shown")


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"a": 5, "b": 5})
    (tmp_path / "a" / "000.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"cannot be read: cannot identify image file .*000\.png"):
        load_data(f"folder:{tmp_path}")


def test_bad_folders_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "single", {"cat": 3})
    write(tmp_path / "hollow", {"a": 3, "b": 0})
    write(tmp_path / "tiny", {"a": 9, "b": 2})
    write(tmp_path / "unlike" / "train", {"a": 3, "b": 3})
    write(tmp_path / "unlike" / "test", {"a": 3, "c": 3})
    (tmp_path / "file").write_text("")
    for name, message in {
        "missing": "there is no such folder; expected PATH/CLASS/image.png",
        "file": "there is no such folder",
        "empty": "Couldn't find any class folder in .*; expected PATH/CLASS/image.png",
        "single": r"one class \(cat\); classification needs at least 2",
        "hollow": "Found no valid file for the classes b",
        "tiny": r"class 1 has 2 image\(s\); 3 parts need at least 3",
        "unlike": "train has classes a, b, but test has a, c",
    }.items():
        with pytest.raises(ValueError, match=message) as caught:
            load_data(f"folder:{tmp_path / name}")
        assert "\n" not in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)
