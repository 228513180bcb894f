"""Every public function on a second device: results lie there, and are those of the CPU.

The device has no float64, like MPS; what counts in float64 runs with it, too.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import pytest
import torch
from device_uses import DEVICES_ONLY, USES
from device_world import World, new_world
from PIL import Image
from searches import short_searches
from simulated_device import simulated_device
from torch import Tensor

import directions
import edits
import invert
import invert.latents.statistics
from edits.masks import feathered
from invert.latents.latent import Latent

# Functions that take a generator or a latent and are not called below, and why not.
EXCUSED = {
    "edits.feature_edits.FeatureEdit.displacement": "a protocol; its implementations are called",
    "invert.encoders.descent.descend": "test_device_commands trains a refinement",
    "invert.encoders.encoder.Encoder.passes": "test_device_commands trains a refinement",
    "invert.encoders.slope.slope_size": "test_device_commands trains a refinement",
    "invert.encoders.training_run.load_distances": "test_device_commands loads them",
    "invert.latents.network_files.find_network": "finds a file",
    "invert.latents.network_files.likely_checkpoints": "finds files",
    "invert.projection.batch_size.fitting_batch_size": "test_photograph_batches gives it a memory",
    "invert.projection.framing.facts_of": "reads metadata",
}


@pytest.fixture(scope="module", autouse=True)
def device() -> Iterator[torch.device]:
    """The device, and shorter searches than users want."""
    with simulated_device(float64=False) as device, short_searches():
        yield device


@pytest.fixture(scope="module")
def worlds(device: torch.device, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, World]:
    """The same world on the device and on the CPU."""
    folders = (tmp_path_factory.mktemp("sim"), tmp_path_factory.mktemp("cpu"))
    return new_world(device, folders[0]), new_world(torch.device("cpu"), folders[1])


CALLED: set[CodeType] = set()  # of what ran on the device
RAN: set[str] = set()


@contextmanager
def watched() -> Iterator[None]:
    """Notes the code of every Python function that is called."""

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            CALLED.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


def run_on_device(name: str, world: World) -> list[Any]:
    with watched():
        leaves = list(parts(USES[name](world)))
    RAN.add(name)
    return leaves


def parts(value: Any) -> Iterator[Any]:
    """Tensors and plain values in what a use returns."""
    if isinstance(value, Latent):
        yield from value.tensors()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from parts([getattr(value, f.name) for f in dataclasses.fields(value)])
    elif isinstance(value, (list, tuple, Iterator)):
        for v in value:
            yield from parts(v)
    elif value is not None and not isinstance(value, dict):
        yield value


@pytest.mark.parametrize("name", USES)
def test_results_lie_on_the_device_and_are_the_cpus(name: str, worlds: tuple[World, World]) -> None:
    there = run_on_device(name, worlds[0])
    assert all(t.device.type == "sim" for t in there if isinstance(t, Tensor))
    if name in DEVICES_ONLY:
        return
    here = list(parts(USES[name](worlds[1])))
    assert len(there) == len(here)
    for a, b in zip(there, here, strict=True):
        if isinstance(a, Tensor):
            assert torch.allclose(a.cpu(), b, rtol=1e-3, atol=2e-3)
        else:
            assert a == (b if isinstance(b, str) else pytest.approx(b, rel=1e-3, abs=1e-4))


WITH_FLOAT64 = ("statistics", "equalize_and_plot", "attribute_model", "mix_and_style_mix")


@pytest.mark.parametrize("name", WITH_FLOAT64)
def test_float64_stays_on_a_device_that_has_it(name: str, worlds: tuple[World, World]) -> None:
    with simulated_device():
        there = list(parts(USES[name](worlds[0])))
        assert all(t.device.type == "sim" for t in there if isinstance(t, Tensor))
        ramp = feathered(worlds[0].mask.to("sim"), 5)
        assert torch.equal(ramp.cpu(), feathered(worlds[0].mask, 5))


def public_functions() -> dict[str, CodeType]:
    """Functions and methods that take a generator or a latent, by dotted name."""
    found: dict[str, CodeType] = {}
    for package in (invert, directions, edits):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "commands" in info.name.split("."):
                continue
            module = importlib.import_module(info.name)
            for name, thing in vars(module).items():
                if name.startswith("_") or getattr(thing, "__module__", None) != info.name:
                    continue
                found |= {f"{info.name}.{k}": f.__code__ for k, f in functions_of(name, thing)}
    return found


def functions_of(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    """What of a module's function or class takes a generator or a latent."""
    if inspect.isfunction(thing):
        members = {name: thing}
    elif inspect.isclass(thing):
        public = {k: v for k, v in vars(thing).items() if not k.startswith("_")}
        members = {f"{name}.{k}": getattr(v, "__func__", v) for k, v in public.items()}
    else:
        return
    owner = inspect.isclass(thing) and (name in ("Generator", "Latent") or takes(thing))
    for key, member in members.items():
        function = inspect.unwrap(member) if callable(member) else member
        if inspect.isfunction(function) and (owner or takes(function)):
            yield key, function


def takes(thing: Any) -> bool:
    """Whether a parameter or field is a generator of ours or a latent."""
    annotations = {k: v for k, v in getattr(thing, "__annotations__", {}).items() if k != "return"}
    pattern = re.compile(r"(?<!torch\.)\b(Generator|Latent)\b")
    return any(pattern.search(str(a)) for a in annotations.values())


def test_every_public_function_ran_on_the_device(worlds: tuple[World, World]) -> None:
    for name in USES.keys() - RAN:  # in another process, where tests are shared out
        run_on_device(name, worlds[0])
    functions = public_functions()
    missing = {name for name, code in functions.items() if code not in CALLED}
    assert missing - EXCUSED.keys() == set(), "add a use above, or a reason to EXCUSED"
    assert EXCUSED.keys() <= functions.keys()


def test_a_picture_of_the_device_becomes_an_image(worlds: tuple[World, World]) -> None:
    from invert.images.comparison import error_map, hstack
    from invert.images.images import to_pil, write_animation, write_png
    from invert.images.pasting import paste

    picture = worlds[0].generator.render(worlds[0].latent("W"))
    images = to_pil(picture)
    write_png(picture, worlds[0].folder / "a.png")
    write_animation(torch.cat([picture, picture]), worlds[0].folder / "a.gif")
    hstack([picture, error_map(picture, worlds[0].image)])
    whole = Image.new("RGB", (100, 90))
    pasted = paste(whole, picture, {"size": [100, 90], "crop": [10, 10, 64]})
    assert images[0].size == (64, 64)
    assert pasted.size == (100, 90)
