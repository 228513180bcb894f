"""A checkout of NVIDIA's code runs without its plugins and downloads, or one line says why not.

The checkout here is a stand-in with the same modules, written by this test: a generator of one
product, whose operation wants a plugin.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from invert.metrics.perceptual import PerceptualDistance

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import official
from official import CheckoutError, official_checkout

OPERATION = """
import dnnlib
from .. import custom_ops

enabled = True
_plugin = None

def _init():
    global _plugin
    if _plugin is None:
        _plugin = custom_ops.get_plugin("scale_plugin")
    return True

def scale(x):
    if _init():
        return _plugin.scale(x)
    assert not enabled
    return dnnlib.util.half(x)
"""
UTIL = """
import requests
from distutils.util import strtobool

def open_url(url):
    raise OSError(f"{url}: no network here")

def half(x):
    return x / 2
"""
NETWORKS = """
import torch
from pkg_resources import parse_version
from torch_utils import misc
from torch_utils.ops import scale

assert parse_version(torch.__version__) >= parse_version("1.11.0a")

class Mapping(torch.nn.Module):
    num_ws = 2

    def forward(self, z, c):
        return z.to(torch.float32).unsqueeze(1).repeat(1, 2, 1)

class Synthesis(torch.nn.Module):
    def __init__(self, side):
        super().__init__()
        self.side = side
        self.register_buffer("noise_const", torch.randn(side, side))

    def forward(self, ws, noise_mode="const"):
        rgb = scale.scale(ws.mean(1)[:, :3])
        return rgb[:, :, None, None] + self.noise_const

class Generator(torch.nn.Module):
    def __init__(
        self, z_dim, c_dim, w_dim, img_resolution, img_channels, mapping_kwargs, ARGUMENTS
    ):
        super().__init__()
        assert mapping_kwargs == {"num_layers": 8}
        self.z_dim, self.img_resolution, self.img_channels = z_dim, img_resolution, img_channels
        self.mapping, self.synthesis = Mapping(), Synthesis(img_resolution)
"""
PROJECTOR = """
import copy
import click, imageio, torch
import dnnlib, legacy

def project(G, target, *, num_steps=1000, w_avg_samples=10000, device: torch.device):
    G = copy.deepcopy(G).to(device)
    assert target.shape == (G.img_channels, G.img_resolution, G.img_resolution)
    with dnnlib.util.open_url("https://example.invalid/vgg16.pt") as f:
        vgg16 = torch.jit.load(f).eval().to(device)
    features = vgg16(target[None], resize_images=False, return_lpips=True)
    w = torch.zeros(1, 1, G.z_dim, device=device, requires_grad=True)
    adam = torch.optim.Adam([w], lr=0.1)
    steps = []
    for _ in range(num_steps):
        image = (G.synthesis(w.repeat(1, G.mapping.num_ws, 1)) + 1) * (255 / 2)
        loss = (vgg16(image, resize_images=False, return_lpips=True) - features).square().sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        steps.append(w.detach()[0].clone())
    return torch.stack(steps).repeat(1, G.mapping.num_ws, 1)
"""


def checkout(folder: Path, kind: str) -> Path:
    ada = kind == "ada"
    arguments = "synthesis_kwargs" if ada else "channel_base, channel_max, num_fp16_res, conv_clamp"
    name = "networks" if ada else "networks_stylegan2"
    files = {
        "torch_utils/__init__": "",
        "torch_utils/misc": "",
        "torch_utils/custom_ops": "import nothing_of_that_name",
        "torch_utils/ops/__init__": "",
        "torch_utils/ops/scale": OPERATION,
        "dnnlib/__init__": "from . import util",
        "dnnlib/util": UTIL,
        f"training/{name}": NETWORKS.replace("ARGUMENTS", arguments),
    }
    if ada:
        files |= {"training/__init__": "", "projector": PROJECTOR, "legacy": "import dnnlib"}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{path}.py").write_text(text)
    return folder


@pytest.fixture(autouse=True)
def without_old_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a new Python no longer has: `sys.modules` with None refuses the import."""
    for name in ("requests", "imageio", "pkg_resources", "distutils", "distutils.util"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("kind", ["ada", "stylegan3"])
def test_operations_take_their_references_and_nothing_stays(kind: str, tmp_path: Path) -> None:
    before, folders = dict(sys.modules), list(sys.path)
    with official_checkout(checkout(tmp_path, kind)) as code:
        generator = code.generator(32, half_resolutions=4)
        images = generator.synthesis(generator.mapping(torch.ones(2, 512), None))
        assert torch.allclose(images - generator.synthesis.noise_const, torch.tensor(0.5))
        assert (code.projector is None) == (kind == "stylegan3")
    assert sys.path == folders
    changed = {name for name, m in sys.modules.items() if before.get(name) is not m}
    assert not changed & {*official.NAMES, "imageio", "requests", "torch_utils.custom_ops"}
    assert sys.modules["requests"] is None


def test_the_projector_of_a_checkout_runs_with_our_distance(tmp_path: Path) -> None:
    distance = PerceptualDistance("tiny", [torch.nn.Conv2d(3, 4, 3)], [torch.ones(4)])
    target = torch.full((3, 32, 32), 200.0)
    with official_checkout(checkout(tmp_path, "ada")) as code:
        generator = code.generator(32)
        ws = code.project(generator, target, 3, distance)
        assert ws.shape == (3, 2, 512)
        assert ws[-1].abs().max() > 0
        assert torch.cuda.is_available is torch.cuda.is_available  # torch itself is not patched
        assert "TorchWith" not in repr(torch.jit.load)


def test_features_differ_by_the_distance() -> None:
    distance = PerceptualDistance(
        "two", [torch.nn.Conv2d(3, 4, 3), torch.nn.MaxPool2d(2)], [torch.ones(4), torch.ones(4)]
    )
    a, b = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    features = official.LPIPSFeatures(distance)
    difference = (features(a) - features(b, resize_images=False)).square().sum()
    assert torch.allclose(difference, distance(a / 127.5 - 1, b / 127.5 - 1), atol=1e-6)


def test_every_failure_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckoutError, match="expected a checkout of stylegan2-ada-pytorch"):
        official_checkout(tmp_path).__enter__()

    folder = checkout(tmp_path / "broken", "ada")
    (folder / "torch_utils" / "misc.py").write_text("raise ValueError('too old\\nby far')")
    with pytest.raises(CheckoutError, match=r"cannot be imported \(ValueError: too old\)"):
        official_checkout(folder).__enter__()

    with official_checkout(checkout(tmp_path / "sg3", "stylegan3")) as code:
        with pytest.raises(CheckoutError, match=r"no projector\.py"):
            code.project(code.generator(32), torch.zeros(3, 32, 32), 1, None)
        code.networks.Generator = None
        with pytest.raises(CheckoutError, match="its Generator cannot be made"):
            code.generator(32)
