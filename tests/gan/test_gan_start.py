"""Training that begins with a network: with its sizes, with all of its layers, or not at all."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_files import FIXTURES
from PIL import Image

from invert.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from invert.checkpoints.checkpoint import stylegan2_config
from invert.checkpoints.ours import FORMAT
from invert.errors import ModelFileError, UsageError
from invert.files.run_folder import STATE
from invert.gan.settings import GanSettings
from invert.gan.start import sizes_of
from invert.gan.training_run import train_gan
from invert.loading import load_generator
from invert.networks.initialize import untrained_stylegan2

SMALL = GanSettings(
    resolution=16, channel_base=128, channel_max=8, z_dim=8, w_dim=8, batch=4, half=False,
)  # fmt: skip
AFFINE = ("weight", "bias")
CLAMPED = FIXTURES / "ada_tiny_fp16clamp.pkl"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "earth.png"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def parameters(path: Path) -> dict[str, torch.Tensor]:
    """All tensors but noise maps, which training draws itself."""
    tensors = read_checkpoint(path).tensors
    return {name: tensor for name, tensor in tensors.items() if "noise_const" not in name}


def sized_as(start: Path) -> GanSettings:
    return GanSettings(batch=4, half=False, **sizes_of(start))


@pytest.mark.parametrize("name", ["ada_tiny.pkl", "rosinality_tiny.pt", "tf_tiny.pkl"])
def test_a_network_of_any_project_can_be_the_start_at_its_own_sizes(
    name: str, data: Path, tmp_path: Path
) -> None:
    start, output = FIXTURES / name, tmp_path / "net.safetensors"
    train_gan(data, output, settings=sized_as(start), steps=0, start=start)
    before, after = parameters(start), parameters(output)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)
    train_gan(data, output, settings=sized_as(start), steps=1, resume=True)


def test_training_computes_its_start_as_it_was_computed_and_goes_on_so(
    data: Path, tmp_path: Path
) -> None:
    clamp = read_checkpoint(CLAMPED).config["conv_clamp"]
    assert clamp is not None
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    train_gan(data, whole, settings=sized_as(CLAMPED), steps=2, start=CLAMPED)
    train_gan(data, killed, settings=sized_as(CLAMPED), steps=1, start=CLAMPED)
    train_gan(data, killed, settings=sized_as(CLAMPED), steps=2, resume=True)
    assert read_checkpoint(whole).config["conv_clamp"] == clamp
    assert load_generator(whole).fingerprint == load_generator(killed).fingerprint


def test_the_sizes_of_a_start_are_those_of_its_run_or_its_shapes(
    data: Path, tmp_path: Path
) -> None:
    first = tmp_path / "plain.safetensors"
    train_gan(data, first, settings=SMALL, steps=0)
    of_run = sizes_of(first)
    shutil.rmtree(first.with_suffix(".run"))
    assert sizes_of(first) == of_run
    assert of_run == {name: getattr(SMALL, name) for name in of_run}


@pytest.mark.parametrize(
    ("change", "odd"),
    [
        ({"channel_max": 4}, "synthesis.b4.bias|synthesis.b4.const"),
        ({"w_dim": 4}, "mapping.fc0.weight"),
        ({"z_dim": 4}, "mapping.fc0.weight"),
        ({"channel_max": 16}, "synthesis.b4.const"),
    ],
)
@pytest.mark.parametrize("with_run", [True, False])
def test_a_start_of_other_widths_is_refused_with_a_shape(
    with_run: bool, change: dict[str, int], odd: str, data: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first.safetensors"
    train_gan(data, first, settings=dataclasses.replace(SMALL, **change), steps=0)
    if not with_run:
        shutil.rmtree(first.with_suffix(".run"))
    with pytest.raises(UsageError, match=f"same widths, its {odd} is "):
        train_gan(data, tmp_path / "x.safetensors", settings=SMALL, steps=0, start=first)
    assert not (tmp_path / "x.safetensors").exists()


def test_a_part_of_a_mapping_network_is_no_start(data: Path, tmp_path: Path) -> None:
    first = tmp_path / "first.safetensors"
    deeper = dataclasses.replace(SMALL, mapping_layers=3)
    train_gan(data, first, settings=deeper, steps=0)
    with pytest.raises(UsageError, match=r"same mapping network .* mapping\.fc2\.bias is in one"):
        train_gan(data, tmp_path / "x.safetensors", settings=SMALL, steps=0, start=first)
    conditional = FIXTURES / "ada_tiny_conditional.pkl"
    with pytest.raises(UsageError, match="without classes"):
        sizes_of(conditional)


def test_a_run_of_another_size_is_no_start_and_its_network_alone_is_one(
    data: Path, tmp_path: Path
) -> None:
    first, larger = tmp_path / "first.safetensors", dataclasses.replace(SMALL, resolution=32)
    train_gan(data, first, settings=SMALL, steps=0)
    with pytest.raises(UsageError, match="expected a run of the same size and widths"):
        train_gan(data, tmp_path / "x.safetensors", settings=larger, steps=0, start=first)
    shutil.rmtree(first.with_suffix(".run"))
    train_gan(data, tmp_path / "y.safetensors", settings=larger, steps=0, start=first)
    before, after = parameters(first), parameters(tmp_path / "y.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_networks_without_a_layer_in_common_are_refused(data: Path, tmp_path: Path) -> None:
    first = tmp_path / "first.safetensors"
    train_gan(data, first, settings=dataclasses.replace(SMALL, resolution=8), steps=0)
    shutil.rmtree(first.with_suffix(".run"))
    late = dataclasses.replace(SMALL, resolution=32, space="FNZ5")
    with pytest.raises(UsageError, match="layers in common"):
        train_gan(data, tmp_path / "x.safetensors", settings=late, steps=0, start=first)


def test_widths_that_no_setting_gives_are_refused(tmp_path: Path) -> None:
    path, sizes = tmp_path / "odd.safetensors", {"z_dim": 8, "w_dim": 8, "mapping_layers": 2}
    narrow, wide = (
        untrained_stylegan2(8, channel_base=64, channel_max=width, **sizes) for width in (4, 8)
    )
    # 4 channels at 4 px, which the next layer reads, then 8.
    tensors = wide | {name: t for name, t in narrow.items() if ".b4." in name}
    first = "synthesis.b8.conv0."
    tensors[first + "weight"] = wide[first + "weight"][:, :4]
    tensors |= {first + f"affine.{part}": narrow[first + f"affine.{part}"] for part in AFFINE}
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_checkpoint(path, Checkpoint("stylegan2", FORMAT, stylegan2_config(), tensors))
    with pytest.raises(UsageError, match=r"expected widths min.* got \[4, 8\] from 4 px on"):
        sizes_of(path)


def test_the_state_of_a_run_is_no_start(data: Path, tmp_path: Path) -> None:
    first = tmp_path / "first.safetensors"
    train_gan(data, first, settings=SMALL, steps=0)
    with pytest.raises(ModelFileError, match="this is a training state of a generator"):
        sizes_of(first.with_suffix(".run") / STATE)
