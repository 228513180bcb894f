"""Every space that can be made, at every layer, is saved, read back and rendered equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import small_checkpoint, small_generator, small_map_generator, small_mobile
from shell import QUICK, Shell, make_photo, pixels, succeeded

from directions.direction import Direction, unit
from edits.along_direction import edit
from edits.canvas import Placement, crop, place, shift
from edits.equalization import equalize
from edits.mixer import mix
from edits.plots import distributions
from edits.style_mixing import combine, interpolate, style_mix
from invert.checkpoints import write_checkpoint
from invert.errors import LatentError, ModelFileError, UsageError
from invert.generator import Generator
from invert.latents.latent import Latent

GENERATORS = {"stylegan2": small_generator(), "mobile": small_mobile()}
ALL = {**GENERATORS, "latent map": small_map_generator()}


def spaces_of(generator: Generator) -> list[str]:
    whole = ["Z", "NZ", "W", "NW", "W+", "NW+", "SW+", "NSW+"]
    layers = range(generator.network.first, generator.num_ws + 1)
    return whole + [
        f"{kind}{i}" for kind in ("FZ", "FNZ", "FW", "FNW", "FSW", "FNSW") for i in layers
    ]


@pytest.mark.parametrize(
    ("architecture", "space"),
    [(name, space) for name, generator in ALL.items() for space in spaces_of(generator)],
)
def test_every_space_is_read_as_it_was_written(
    architecture: str, space: str, tmp_path: Path
) -> None:
    generator = ALL[architecture]
    latent = generator.sample([1, 2], space=space)
    image = generator.render(latent)
    for suffix in (".pt", ".safetensors"):
        path = tmp_path / f"x{suffix}"
        latent.save(path)
        again = Latent.load(path)
        assert again.space == latent.space
        assert all(
            torch.equal(a, b) for a, b in zip(latent.tensors(), again.tensors(), strict=True)
        )
        assert torch.equal(generator.render(again), image)


@pytest.mark.parametrize("space", ["FNW10", "FNZ10", "FNSW10", "NZ"])
def test_what_the_commands_write_at_the_last_layer_is_read(
    space: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(tmp_path, monkeypatch, capfd)
    write_checkpoint(tmp_path / "net.safetensors", small_checkpoint())
    succeeded(shell("generate", "--network", "net.safetensors", "--seeds", "1", "--space", space))
    succeeded(shell("render", "seed0001.pt", "--network", "net.safetensors", "-o", "again.png"))
    assert (pixels("again.png") == pixels("seed0001.png")).all()
    if space == "FNW10":
        photo = make_photo(tmp_path / "photo.jpg", (64, 64))
        succeeded(shell("project", photo, "--network", "net.safetensors", "--space", space, *QUICK))
        succeeded(
            shell("render", "photo.pt", "--network", "net.safetensors", "-o", "projected.png")
        )
        assert (pixels("projected.png") == pixels("photo.png")).all()


def test_a_file_without_the_noise_maps_of_its_styles_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    GENERATORS["stylegan2"].sample(0, space="FNW5").save(path)
    content = torch.load(path, weights_only=True)
    content["tensors"] = {k: t for k, t in content["tensors"].items() if not k.startswith("noise")}
    torch.save(content, path)
    with pytest.raises(
        ModelFileError, match="FNW5 needs 5 noise maps, one less than its styles, got 0"
    ):
        Latent.load(path)


def test_a_generator_without_its_first_layers_has_no_noise_of_them(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    latent = ALL["latent map"].sample(0, space="NW+")
    latent.save(path)
    assert len(Latent.load(path).noise) == len(latent.noise) == latent.styles.shape[1] - 3
    content = torch.load(path, weights_only=True)
    extra = {f"noise.{k}": torch.zeros(1, 1, 4, 4) for k in range(10)}
    for tensors, count in (({}, 0), (extra, 10)):
        kept = {k: t for k, t in content["tensors"].items() if not k.startswith("noise")}
        torch.save({**content, "tensors": {**kept, **tensors}}, path)
        with pytest.raises(ModelFileError, match=f"NW\\+ needs 9 noise maps.*got {count}"):
            Latent.load(path)


def test_z_is_drawn_without_truncation_unless_one_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(tmp_path, monkeypatch, capfd)
    write_checkpoint(tmp_path / "net.safetensors", small_checkpoint())
    generate = ["generate", "--network", "net.safetensors", "--seeds", "1", "--space", "Z"]
    succeeded(shell(*generate))
    drawn = GENERATORS["stylegan2"].sample(1, space="Z")
    assert torch.equal(Latent.load("seed0001.pt").tensors()[0], drawn.tensors()[0])
    result = shell(*generate, "--psi", "0.5")
    assert result.code == 2
    assert "truncation psi moves w" in result.err


@pytest.mark.parametrize("name", ["x.npz", "x", "x.png", "x.pt.bak", ".pt"])
def test_a_latent_is_written_only_under_a_suffix_that_says_what_it_is(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(
        UsageError, match=r"expected a latent file named \*\.pt or \*\.safetensors, got"
    ):
        GENERATORS["stylegan2"].sample(0).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_parts_that_share_memory_are_written(suffix: str, tmp_path: Path) -> None:
    generator = GENERATORS["stylegan2"]
    latent = generator.sample(0, space="FNW5")
    assert latent.companion is not None
    latent = latent.replace(companion=latent.companion.replace(origin=latent.origin()))
    latent.save(tmp_path / f"x{suffix}")
    again = Latent.load(tmp_path / f"x{suffix}")
    assert all(torch.equal(a, b) for a, b in zip(latent.tensors(), again.tensors(), strict=True))


@pytest.mark.parametrize(
    ("written", "named"), [("x.pt", "y.safetensors"), ("x.safetensors", "y.pt"), ("x.PT", "y")]
)
def test_a_renamed_latent_is_read_by_its_content(written: str, named: str, tmp_path: Path) -> None:
    latent = GENERATORS["stylegan2"].sample(0)
    latent.save(tmp_path / written)
    (tmp_path / written).rename(tmp_path / named)
    assert torch.equal(Latent.load(tmp_path / named).tensors()[0], latent.tensors()[0])


def test_a_string_is_a_space(tmp_path: Path) -> None:
    generator = GENERATORS["stylegan2"]
    latent = Latent(
        "w+", styles=generator.sample(0, space="W+").tensors()[0], fingerprint=generator.fingerprint
    )
    assert torch.equal(generator.render(latent), generator.render(generator.sample(0)))
    latent.save(tmp_path / "x.pt")
    assert Latent.load(tmp_path / "x.pt").space == latent.space
    with pytest.raises(UsageError, match="unknown space 'X'"):
        Latent("X", styles=torch.zeros(1, 3), fingerprint="")
    with pytest.raises(LatentError, match="expected a tensor as styles, got list"):
        Latent("W", styles=[1.0, 2.0], fingerprint="")


@pytest.mark.parametrize("start", [b"\x80\x02", b"\x1f\x8b", b"BZ"])
def test_a_header_whose_length_looks_like_another_kind_of_file_is_read(
    start: bytes, tmp_path: Path
) -> None:
    generator, path = GENERATORS["stylegan2"], tmp_path / "x.safetensors"
    generator.sample(0).save(path)
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    wanted = int.from_bytes(start, "little")
    wanted += 0 if wanted >= size else 1 << 16
    path.write_bytes(
        wanted.to_bytes(8, "little") + data[8 : 8 + size].ljust(wanted) + data[8 + size :]
    )
    assert torch.equal(generator.render(Latent.load(path)), generator.render(generator.sample(0)))


@pytest.mark.parametrize("space", ["FNW{}", "FNSW{}", "FNW1", "FSW2"])
@pytest.mark.parametrize("architecture", list(GENERATORS))
def test_edits_take_points_of_the_first_and_the_last_layer(architecture: str, space: str) -> None:
    generator = GENERATORS[architecture]
    a, b, c = (generator.sample(seed, space=space.format(generator.num_ws)) for seed in (0, 1, 2))
    cells, mask = generator.shapes(a.space).features, torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    tilt = Direction("tilt", unit(torch.ones(generator.w_dim)), sigma=0.5)
    for result in (
        edit(generator, a, tilt, 1.0),
        edit(generator, a, tilt, 1.0, mask=mask),
        mix(generator, a, b, mask, feather=8),
        style_mix(generator, a, b, (generator.num_ws - 1, generator.num_ws)),
        interpolate(generator, a, b, 0.5),
        combine(generator, a, b, c),
        equalize(generator, a, 0.5),
        place(generator, (2 * cells[1], cells[0]), [Placement(a), Placement(b, (cells[1], 0))]),
        shift(a, (2, 0)),
        crop(a, (0, 0, cells[1] // 2, cells[0])),
        Latent.cat([a, b]),
    ):
        assert generator.render(result).isfinite().all()
    assert distributions(generator, a)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_what_could_not_be_read_is_not_written(suffix: str, tmp_path: Path) -> None:
    latent = GENERATORS["stylegan2"].sample(1)
    broken = latent.replace(styles=latent.style_tensor() * torch.nan)
    with pytest.raises(LatentError, match=r"not written: tensor 'styles' is not finite"):
        broken.save(tmp_path / f"x{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"image": "photo.png"}, "expected a dict as 'image' in metadata, got str"),
        ({"generator": None}, "expected a str as 'generator' in metadata, got NoneType"),
        ({"network": "x.pkl"}, "expected a dict as 'network' in metadata, got str"),
        ({"count": 2**64}, "a number of more than 64 bits"),
        ({"list": [0] * 100_001}, "metadata of more than 100000 values"),
        ({"set": {1, 2}}, "metadata are not JSON"),
        ({(1, 2): 3}, "metadata are not JSON"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_metadata_that_could_not_be_read_are_not_written(
    suffix: str, metadata: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    latent = GENERATORS["stylegan2"].sample(1).replace(metadata=metadata)
    with pytest.raises(LatentError, match=f"x{suffix}: not written: .*{reason}"):
        latent.save(tmp_path / f"x{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_fingerprint_and_a_header_that_could_not_be_read_are_not_written(tmp_path: Path) -> None:
    latent = GENERATORS["stylegan2"].sample(1)
    with pytest.raises(LatentError, match=r"not written: the generator's fingerprint is missing"):
        latent.replace(fingerprint="no fingerprint").save(tmp_path / "x.pt")
    with pytest.raises(LatentError, match=r"not written: metadata of \d+ bytes, a file has"):
        latent.replace(metadata={"note": "x" * (5 << 20)}).save(tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_numbers_of_numpy_and_torch_are_written_as_numbers(suffix: str, tmp_path: Path) -> None:
    found = {"a": np.int64(1), "b": [np.float32(0.5)], "c": torch.tensor(2), "d": np.bool_(True)}
    GENERATORS["stylegan2"].sample(1).replace(metadata=found).save(tmp_path / f"x{suffix}")
    metadata = Latent.load(tmp_path / f"x{suffix}").metadata
    assert metadata == {"a": 1, "b": [0.5], "c": 2, "d": True}
    assert [type(metadata[key]) for key in "acd"] == [int, int, bool]
