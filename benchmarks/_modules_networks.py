"""The networks that benchmarks/modules.py imports: of torchvision and timm, by name, and what each takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
import torchvision
from torch import nn, Tensor

__all__ = ["DEFAULT", "Network", "names_of", "network_of", "settled"]

#: One of each family of classifiers.
CLASSIFIERS = (
    *("alexnet", "vgg16_bn", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "densenet121", "googlenet"),
    *("inception_v3", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "mnasnet1_0", "shufflenet_v2_x1_0"),
    *("efficientnet_b0", "efficientnet_v2_s", "regnet_y_400mf", "convnext_tiny", "mobilenet_v3_large", "maxvit_t"),
    *("vit_b_16", "swin_t", "swin_v2_t"),
)
#: All that there are.
DETECTORS = (
    *("fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "fasterrcnn_resnet50_fpn"),
    *("fasterrcnn_resnet50_fpn_v2", "fcos_resnet50_fpn", "keypointrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn"),
    *("maskrcnn_resnet50_fpn_v2", "retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "ssd300_vgg16"),
    "ssdlite320_mobilenet_v3_large",
)
SEGMENTERS = (
    *("lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large", "deeplabv3_resnet50", "deeplabv3_resnet101"),
    *("fcn_resnet50", "fcn_resnet101"),
)
VIDEO = ("r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v1_b", "mvit_v2_s", "swin3d_t")
#: A small one of each of timm's modules, and more where a module holds several kinds.
TIMM = (
    *("resnet26t", "seresnet50", "skresnet18", "ecaresnet26t", "resnest14d", "res2net50_26w_4s", "resnetv2_50"),
    *("dla34", "hrnet_w18_small", "cspresnet50", "cspdarknet53", "darknet53", "densenet121", "dpn68", "ese_vovnet39b"),
    *("inception_v4", "inception_resnet_v2", "xception41", "efficientnet_b0", "efficientnet_lite0", "mixnet_s"),
    *("mobilenetv3_small_100", "mobilenetv4_conv_small", "fbnetc_100", "ghostnet_100", "repvgg_a0", "mobileone_s0"),
    *("selecsls42b", "regnetx_004", "gernet_s", "hardcorenas_a", "lcnet_050", "tresnet_m", "nf_regnet_b0"),
    *("eca_nfnet_l0", "convnext_atto", "deit_tiny_patch16_224", "swin_tiny_patch4_window7_224"),
    *("vit_tiny_patch16_224", "cait_xxs24_224", "coat_lite_tiny", "convit_tiny", "convmixer_768_32"),
    *("crossvit_tiny_240", "davit_tiny", "edgenext_xx_small", "efficientformer_l1", "efficientformerv2_s0"),
    *("efficientvim_m1", "efficientvit_b0", "efficientvit_m0", "eva02_tiny_patch14_224", "fasternet_t0"),
    *("fastvit_t8", "focalnet_tiny_srf", "gcvit_xxtiny", "hgnetv2_b0", "hiera_tiny_224", "sam2_hiera_tiny"),
    *("iformer_t", "inception_next_atto", "lcnetv2_small", "levit_128s", "lowformer_b0", "mambaout_femto"),
    *("coatnet_nano_rw_224", "poolformer_s12", "caformer_s18", "mixer_s32_224", "gmlp_s16_224", "resmlp_12_224"),
    *("mobilevit_xxs", "mobilevitv2_050", "mvitv2_tiny", "nest_tiny", "nextvit_small", "pit_ti_224", "pvt_v2_b0"),
    *("rdnet_tiny", "repghostnet_050", "repvit_m0_9", "rexnet_100", "legacy_seresnet18", "sequencer2d_s"),
    *("shvit_s1", "starnet_s050", "swiftformer_xs", "swinv2_tiny_window8_256", "swinv2_cr_tiny_ns_224"),
    *("tiny_vit_5m_224", "tnt_s_patch16_224", "twins_svt_small", "vgg11_bn", "visformer_tiny"),
    *("vit_tiny_r_s16_p8_224", "vit_relpos_small_patch16_224", "vitamin_small_224", "volo_d1_224"),
    *("legacy_xception", "xcit_nano_12_p16_224", "botnet26t_256", "halonet26t", "lambda_resnet26t"),
    *("cspnext_tiny", "cpubone_nano", "csatv2", "inception_v3", "beit_base_patch16_224", "nasnetalarge"),
    *("pnasnet5large", "samvit_base_patch16_224", "naflexvit_base_patch16_gap", "qwen3_vit_88m"),
    *("gemma4_vit_167m", "mobilenetv5_300m", "deepseek_vit_412m"),
)
DEFAULT = (
    *(f"torchvision:{name}" for name in CLASSIFIERS + DETECTORS + SEGMENTERS + VIDEO),
    *(f"timm:{name}" for name in TIMM),
)
#: Pixels, where the default is too small (the second head of one is larger) or another is not taken.
SIZES = {"inception_v3": 299, "s3d": 224, **dict.fromkeys(("vit_b_16", "maxvit_t", "mvit_v1_b", "mvit_v2_s"), 224)}
FRAMES, VIDEO_SIZE = 8, 64
FEW = 20  # boxes of an image
#: Detectors whose second stage sees as many boxes of every image, whatever the weights: costs can be compared.
BOXES = {
    **dict.fromkeys(("rpn_pre_nms_top_n_test", "rpn_post_nms_top_n_test", "box_detections_per_img"), FEW),
    **dict.fromkeys(("rpn_nms_thresh", "box_nms_thresh"), 2.0),
    "box_score_thresh": 0.0,
}
#: Detectors of one stage: boxes of every image, and none that takes long.
DENSE = {"score_thresh": 0.0, "detections_per_img": FEW, "topk_candidates": 2 * FEW}


@dataclass(frozen=True)
class Network:
    """One of them, such as torchvision:resnet18."""

    full: str
    size: int  # pixels of its images' sides

    @property
    def source(self) -> str:
        return self.full.partition(":")[0]

    @property
    def name(self) -> str:
        return self.full.partition(":")[2]

    @property
    def family(self) -> str:
        """The module that makes it: resnet."""
        return _builder(self.source, self.name).__module__.rpartition(".")[2]

    @property
    def kind(self) -> str:
        """What it is for: classification, detection, segmentation or video."""
        parts = _builder(self.source, self.name).__module__.split(".")
        return next((part for part in parts if part in ("detection", "segmentation", "video")), "classification")

    def make(self) -> nn.Module:
        """With random weights, always the same."""
        torch.manual_seed(0)
        if self.source == "timm":
            import timm

            return timm.create_model(self.name, pretrained=False)
        return settled(torchvision.models.get_model(self.name, weights=None, **self._options()))

    def _options(self) -> dict[str, Any]:
        if self.kind == "segmentation":
            return {"weights_backbone": None}
        if self.kind != "detection":
            return {}
        sizes = {} if self.name.startswith("ssd") else {"min_size": self.size, "max_size": 2 * self.size}
        return {"weights_backbone": None, **sizes, **(BOXES if "rcnn" in self.name else DENSE)}

    def shapes(self) -> list[tuple[int, ...]]:
        """Of an input, and of another that it may take, too: larger; for detectors, which resize them, wider."""
        size, depth = self.size, ()
        if self.kind == "video":
            depth = (2 * FRAMES if self.name in ("s3d", "mvit_v1_b", "mvit_v2_s") else FRAMES,)
        step = VIDEO_SIZE // 2 if depth else 64
        larger = (size if self.kind == "detection" else size + step, size + step)
        return [(3, *depth, size, size), (3, *depth, *larger)]

    def inputs(self, shape: tuple[int, ...], n: int, *, training: bool) -> tuple[Any, ...]:
        """What its forward takes for n images: targets, too, where it makes losses of them in training."""
        images = torch.randn(n, *shape)
        if self.kind != "detection":
            return (images,)
        return (images, [_target(*shape[1:]) for _ in images]) if training else (images,)


def settled(model: nn.Module) -> nn.Module:
    """With boxes where anchors are: random ones can lie outside the image, and are dropped then."""
    for name, module in model.named_modules():
        if name.endswith("bbox_pred"):
            for parameter in module.parameters():
                nn.init.zeros_(parameter)
    return model


def _target(height: int, width: int) -> dict[str, Tensor]:
    """An object with its box, mask and keypoints."""
    box = torch.tensor([[width / 8, height / 8, width / 2, height / 2]])
    mask, points = torch.zeros(1, height, width, dtype=torch.uint8), torch.ones(1, 17, 3)
    mask[:, height // 8 : height // 2, width // 8 : width // 2] = 1
    points[..., :2] = box[:, :2] + 1
    return {"boxes": box, "labels": torch.ones(1, dtype=torch.int64), "masks": mask, "keypoints": points}


def network_of(full: str, size: int) -> Network:
    """A network of that name, with images of `size`, or of what it takes instead. ValueError on an unknown name."""
    source, _, name = full.partition(":")
    if name not in _all(source):
        raise ValueError(f"unknown network {full!r}: torchvision:NAME or timm:NAME, * for any letters")
    network = Network(full, size)
    if source == "torchvision":
        return Network(full, SIZES.get(name, VIDEO_SIZE if network.kind == "video" else size))
    if _takes(network):
        return network
    import timm

    return Network(full, timm.get_pretrained_cfg(name).input_size[-1])


def _takes(network: Network) -> bool:
    try:
        network.make().eval()(*network.inputs(network.shapes()[0], 1, training=False))
    except Exception:  # of the network's own code
        return False
    return True


def names_of(patterns: Iterable[str]) -> list[str]:
    """The names that patterns such as timm:resnet* stand for. ValueError where one stands for none."""
    return list(dict.fromkeys(name for pattern in patterns for name in _matching(pattern)))


def _matching(pattern: str) -> Iterator[str]:
    source, _, name = pattern.partition(":")
    found = [f"{source}:{known}" for known in _all(source) if fnmatchcase(known, name)]
    if not found:
        raise ValueError(f"unknown network {pattern!r}: torchvision:NAME or timm:NAME, * for any letters")
    yield from found


def _all(source: str) -> list[str]:
    """Quantized networks have no floating-point weights, and optical flow takes pairs of images."""
    if source == "timm":
        import timm

        return timm.list_models()
    if source != "torchvision":
        return []
    return [name for name in torchvision.models.list_models() if not name.startswith(("quantized_", "raft_"))]


def _builder(source: str, name: str) -> Any:
    if source == "timm":
        import timm

        return timm.model_entrypoint(name)
    return torchvision.models.get_model_builder(name)
