"""NVIDIA's own networks and projector from a checkout of their code, patched in memory.

The checkout is one of stylegan2-ada-pytorch or stylegan3, which the user has and names; none of it
is here. Its CUDA plugins are not built: every operation has a reference implementation in plain
PyTorch beside it, and takes that. What its code imports and today's Python lacks is stood in for.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from invert.metrics.perceptual import PerceptualDistance

# Of the checkout: packages and modules that are ours for the time of a `with` only.
NAMES = ("torch_utils", "training", "dnnlib", "projector", "legacy")
NETWORKS = ("training.networks", "training.networks_stylegan2")  # of the two repositories


class CheckoutError(Exception):
    """The folder is no such checkout, or its code does not run here; one line says why."""


class Official:
    """The modules of a checkout.

    networks   the module with the class `Generator`, the StyleGAN2 one
    projector  the module with `project`; None in stylegan3, which has none
    """

    def __init__(self, networks: Any, projector: Any | None) -> None:
        self.networks = networks
        self.projector = projector

    def generator(self, resolution: int, half_resolutions: int = 0) -> nn.Module:
        """A config-f generator with random weights, the highest resolutions in float16 if wanted.

        Raises :class:`CheckoutError` where its class does not take the usual arguments.
        """
        synthesis = {"channel_base": 32768, "channel_max": 512, "num_fp16_res": half_resolutions}
        synthesis["conv_clamp"] = 256 if half_resolutions else None  # type: ignore[assignment]
        sizes = {"z_dim": 512, "c_dim": 0, "w_dim": 512}
        images = {"img_resolution": resolution, "img_channels": 3}
        mapping = {"mapping_kwargs": {"num_layers": 8}}

        # stylegan2-ada-pytorch takes the arguments of the synthesis in one dictionary.
        nested = self.networks.__name__ == NETWORKS[0]
        rest: dict[str, Any] = {"synthesis_kwargs": synthesis} if nested else synthesis
        with as_checkout_errors("its Generator cannot be made"):
            generator = self.networks.Generator(**sizes, **images, **mapping, **rest)
            return generator.eval().requires_grad_(False)

    def project(
        self, generator: nn.Module, target: Tensor, steps: int, distance: PerceptualDistance
    ) -> Tensor:
        """Their projector's w [steps, num_ws, w_dim] for `target` [3, H, W] in 0 … 255.

        `distance` stands for their VGG16, which is a download.
        """
        if self.projector is None:
            raise CheckoutError("this checkout has no projector.py; that of stylegan2-ada has one")
        projector: Any = self.projector
        projector.torch = TorchWith(LPIPSFeatures(distance))
        with as_checkout_errors("its projector fails"):
            return projector.project(
                generator, target, num_steps=steps, device=target.device, w_avg_samples=1000
            )


@contextlib.contextmanager
def official_checkout(path: Path) -> Iterator[Official]:
    """The code in `path`, imported for the time of the block.

    Raises :class:`CheckoutError` unless it is a checkout of one of the two.
    """
    names = [name for name in NETWORKS if (path / f"{name.replace('.', '/')}.py").is_file()]
    if not names or not (path / "torch_utils" / "ops").is_dir():
        raise CheckoutError(
            f"{path}: expected a checkout of stylegan2-ada-pytorch or stylegan3, with "
            "training/networks*.py and torch_utils/ops; clone one and name its folder"
        )

    absent = stand_ins()
    before, folders = theirs(absent), list(sys.path)
    try:
        for name in before:
            del sys.modules[name]
        sys.path.insert(0, str(path))
        sys.modules |= absent
        with as_checkout_errors(f"{path}: its code cannot be imported"):
            networks = importlib.import_module(names[0])
            projector = None
            if (path / "projector.py").is_file():
                projector = importlib.import_module("projector")
            take_references(path)
        yield Official(networks, projector)
    finally:
        sys.path[:] = folders
        for name in theirs(absent):
            del sys.modules[name]
        sys.modules |= before


def theirs(absent: Mapping[str, ModuleType]) -> dict[str, ModuleType]:
    """The modules that have the names of the checkout's, or of a stand-in."""
    return {
        name: module
        for name, module in sys.modules.items()
        if name.split(".")[0] in NAMES or name in absent
    }


@contextlib.contextmanager
def as_checkout_errors(what: str) -> Iterator[None]:
    """Whatever goes wrong in foreign code, in one line; memory that runs out is raised as it is."""
    try:
        yield
    except (CheckoutError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = (str(error) or "no reason given").splitlines()[0]
        raise CheckoutError(f"{what} ({type(error).__name__}: {reason})") from error


def take_references(path: Path) -> None:
    """Every operation with a plugin takes its reference implementation instead."""
    for file in sorted((path / "torch_utils" / "ops").glob("*.py")):
        module: Any = sys.modules.get(f"torch_utils.ops.{file.stem}")
        if hasattr(module, "_init"):
            module._init = lambda: False  # "the plugin is not there"
            module._plugin = None
        if hasattr(module, "enabled"):
            module.enabled = False  # gradients of gradients by operations that torch has renamed

    # Their projector downloads a network; `Official.project` brings another.
    dnnlib: Any = sys.modules.get("dnnlib")
    if dnnlib is not None and hasattr(dnnlib, "util"):
        dnnlib.util.open_url = lambda *_, **__: contextlib.nullcontext()


def stand_ins() -> dict[str, ModuleType]:
    """Modules that their code imports and that are not here, as far as it needs them for this."""

    def module(name: str, **contents: Any) -> ModuleType:
        made = ModuleType(name)
        made.__dict__.update(contents)
        return made

    def no_plugin(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA plugins are not built here")

    util = module("distutils.util", strtobool=lambda text: text.lower() in ("1", "y", "yes"))
    absent = {
        "requests": module("requests"),
        "imageio": module("imageio"),
        "pkg_resources": module("pkg_resources", parse_version=torch.torch_version.TorchVersion),
        "distutils": module("distutils", util=util, __path__=[]),
        "distutils.util": util,
    }
    found = {name: made for name, made in absent.items() if not importable(name)}

    # torch's builder of extensions wants setuptools and a compiler, and is not needed.
    found["torch_utils.custom_ops"] = module("torch_utils.custom_ops", get_plugin=no_plugin)
    return found


def importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


class LPIPSFeatures(nn.Module):
    """Features [N, D] of images in 0 … 255 whose squared difference is a perceptual distance."""

    def __init__(self, distance: PerceptualDistance) -> None:
        super().__init__()
        self.distance = distance

    def forward(self, images: Tensor, **_: Any) -> Tensor:
        """Called as NVIDIA's VGG16 is."""
        maps = self.distance.embed(images / 127.5 - 1)
        return torch.cat([m.flatten(1) / (m.shape[2] * m.shape[3]) ** 0.5 for m in maps], 1)


class TorchWith:
    """torch, but that `torch.jit.load` gives a network that is here already."""

    def __init__(self, network: nn.Module) -> None:
        self.jit = ModuleType("jit")
        self.jit.load = lambda _: network  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)
