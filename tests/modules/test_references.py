"""Networks by name."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from natrl.modules.references import has_published_weights, input_shape, load_network, load_published
from tests.modules.trained import Residual


def test_a_users_function_and_weights_of_either_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_networks.py").write_text(
        "from tests.modules.trained import Residual\ndef build(): return Residual().train()\ndef wrong(): return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    state = Residual().state_dict()
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pt")
    for file in ("w.safetensors", "w.pt"):
        network = load_network("my_networks:build", num_classes=10, weights=tmp_path / file)
        assert isinstance(network, Residual)
        assert not network.training
        torch.testing.assert_close(dict(network.state_dict()), dict(state))
    with pytest.raises(ValueError, match=r"expected an nn\.Module, got int"):
        load_network("my_networks:wrong", num_classes=10)
    torch.save({**state, "stem.weight": state["norm.bias"]}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"do not fit 'my_networks:build': .*stem.weight"):
        load_network("my_networks:build", num_classes=10, weights=tmp_path / "w.pt")


def test_a_users_network_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made_network.py").write_text("from torch import nn\nmade, other = nn.Conv2d(1, 2, 3), 3\n")
    monkeypatch.chdir(tmp_path)
    assert isinstance(load_network("made_network:made", num_classes=None), nn.Conv2d)
    with pytest.raises(ValueError, match=r"^network 'made_network:other': expected an nn\.Module, got int$"):
        load_network("made_network:other", num_classes=None)


def test_torchvision_and_timm_networks_get_the_classes_of_the_data(tmp_path: Path) -> None:
    from torchvision.models import squeezenet1_1

    file = tmp_path / "w.safetensors"
    save_file(squeezenet1_1(num_classes=7).state_dict(), file)
    assert load_network("torchvision:squeezenet1_1", num_classes=7, weights=file).num_classes == 7
    with pytest.raises(ValueError, match=r"no classification network 'resnet19'; it has: .*resnet18"):
        load_network("torchvision:resnet19", num_classes=7)
    with pytest.raises(ValueError, match="timm"):
        load_network("timm:resnet19x", num_classes=7)


def test_code_in_a_file_of_weights_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"trap": Trap()}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"it holds no state_dict as torch\.save\(model\.state_dict\(\), FILE\)"):
        load_network("torchvision:squeezenet1_1", num_classes=7, weights=tmp_path / "w.pt")
    assert not (tmp_path / "sprung").exists()


def test_published_weights_come_with_their_own_preprocessing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hubs are replaced: nothing is downloaded."""
    asked: list[str] = []

    def state(url: str, **_: object) -> dict:
        asked.append(url)
        return torchvision.models.squeezenet1_1().state_dict()

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", state)
    for weights in (None, "DEFAULT"):
        assert has_published_weights("torchvision:squeezenet1_1", weights)
    published = load_published("torchvision:squeezenet1_1")
    assert "squeezenet1_1" in asked[0]
    assert not published.network.training
    image = Image.new("RGB", (300, 280), (255, 0, 0))
    white = published.transform(image)
    assert white.shape == (3, 224, 224)
    torch.testing.assert_close(white[0], torch.full((224, 224), (1 - 0.485) / 0.229))
    assert published.normalisation == {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def test_timms_come_with_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **given: create(name, pretrained=False, **given))
    published = load_published("timm:mobilenetv3_small_050")
    assert published.transform(Image.new("RGB", (300, 280))).shape == (3, 224, 224)
    assert published.normalisation["mean"] == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("torchvision:squeezenet1_1", (3, 224, 224)),
        ("timm:test_vit", (3, 160, 160)),
        ("tests.modules.trained:Residual", (1, 224, 224)),
    ],
)
def test_untrained_networks_need_no_weights(
    monkeypatch: pytest.MonkeyPatch, name: str, shape: tuple[int, int, int]
) -> None:
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", None)
    network = load_network(name, num_classes=None, untrained=True)
    assert input_shape(name, network) == shape
    with torch.no_grad():
        classes = network(torch.zeros(1, shape[0], shape[1], shape[2])).shape[1]
    assert classes == (10 if name.startswith("tests") else 1000)


def test_a_download_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no network in tests")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(ValueError, match=r"'resnet18' could not be had \(.*no network.*\); give --weights FILE"):
        load_published("torchvision:resnet18")


def test_published_weights_are_of_published_networks() -> None:
    assert not has_published_weights("mine:build", None)
    assert not has_published_weights("torchvision:resnet18", "mine.pt")
    with pytest.raises(ValueError, match="--weights DEFAULT are of networks torchvision:NAME and timm:NAME"):
        load_network("mine:build", num_classes=10, weights="DEFAULT")


@pytest.mark.parametrize("what", ["a pipe", "a folder", "nothing", "bytes", "a list", "numbers as names"])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_files_that_hold_no_weights_are_refused(tmp_path: Path, what: str, suffix: str) -> None:
    file = tmp_path / f"weights.{suffix}"
    values = {"a list": [torch.zeros(2)], "numbers as names": {1: torch.zeros(2)}}
    if what == "a pipe":
        os.mkfifo(file)
    elif what == "a folder":
        file.mkdir()
    elif what in values:
        torch.save(values[what], file)
    else:
        file.write_bytes(b"abc" * 100 if what == "bytes" else b"")
    with pytest.raises(
        ValueError, match=rf"^--weights '.*weights\.{suffix}' do not fit 'torchvision:squeezenet1_1': \S"
    ):
        load_network("torchvision:squeezenet1_1", num_classes=7, weights=file)
