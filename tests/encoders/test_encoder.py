"""The encoder: what its maps cover, which files and images it refuses, where a projection starts
from it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from networks import small_generator

import invert.weights
from invert.checkpoints.fingerprint import FFHQ_MOBILE
from invert.checkpoints.safe_safetensors import load_safetensors
from invert.encoders.encoder import Encoder, EncoderShape, new_encoder
from invert.encoders.encoder_files import (
    BUNDLED,
    bundled_encoder,
    bundled_encoders,
    encoders_in,
    load_encoder,
    save_encoder,
)
from invert.errors import FingerprintError, ModelFileError, UsageError
from invert.latents.spaces import Space
from invert.projection.initialization import encoder_init, find_encoder, possible_inits
from invert.projection.projector import project
from invert.projection.settings import ProjectionSettings

GENERATOR = small_generator()
PLAIN = ProjectionSettings(steps=0, perceptual="none")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """An untrained encoder whose heads do something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = new_encoder(GENERATOR, 5)
        for head in (made.feature_head, made.rgb_head, made.style_head):
            assert head is not None
            torch.nn.init.normal_(head.leave.weight, std=0.01)
    return made.eval().requires_grad_(False)


def picture(height: int = 64, width: int = 64) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_an_encoding_is_a_point_of_its_layer_with_a_companion(encoder: Encoder) -> None:
    latent = encoder.encode(GENERATOR, picture())
    assert str(latent.space) == "FW5"
    assert GENERATOR.check(latent).image == (64, 64)
    assert latent.companion is not None
    assert torch.equal(latent.companion.styles[:, 4:], latent.styles)


def test_a_wider_image_gives_wider_maps(encoder: Encoder) -> None:
    latent = encoder.encode(GENERATOR, picture(64, 128))
    assert latent.features is not None
    assert latent.rgb is not None
    assert latent.features.shape[2:] == (16, 32)
    assert latent.rgb.shape[2:] == (8, 16)
    assert GENERATOR.render(latent).shape == (1, 3, 64, 128)


def test_images_of_a_batch_do_not_change_each_other(encoder: Encoder) -> None:
    both = encoder.encode(GENERATOR, torch.cat([picture(), -picture()]))
    alone = encoder.encode(GENERATOR, -picture())
    for x, y in zip(both[1].tensors(), alone.tensors(), strict=True):
        assert torch.allclose(x, y, atol=1e-5)


def test_an_untrained_encoder_finds_the_mean_whatever_it_sees() -> None:
    fresh = new_encoder(GENERATOR, 5).eval()
    a, b = (fresh.encode(GENERATOR, image) for image in (picture(), -picture()))
    assert a.companion is not None
    assert torch.allclose(a.companion.styles, GENERATOR.w_avg.expand_as(a.companion.styles))
    assert all(torch.equal(x, y) for x, y in zip(a.tensors(), b.tensors(), strict=True))


def test_a_lite_trunk_is_told_in_the_file_and_comes_back(tmp_path: Path) -> None:
    made = Encoder(EncoderShape.from_generator(GENERATOR, 5, "efficientnet-lite0")).eval()
    made.fingerprint = GENERATOR.fingerprint
    assert not any("_se_" in name for name in made.state_dict())
    save_encoder(made, tmp_path / "e.safetensors", {})
    again = load_encoder(tmp_path / "e.safetensors", GENERATOR)
    assert again.shape.trunk == "efficientnet-lite0"
    x, y = (encoder.encode(GENERATOR, picture()).companion.styles for encoder in (made, again))
    assert x is not None
    assert torch.allclose(x, y, atol=1e-3)


@pytest.mark.slow
def test_a_lite_trunk_begins_with_imagenet_weights() -> None:
    a, b = (new_encoder(GENERATOR, 5, "efficientnet-lite0").trunk.state_dict() for _ in range(2))
    assert all(torch.equal(x, b[name]) for name, x in a.items())
    other = new_encoder(GENERATOR, 5).trunk.state_dict()
    assert not torch.equal(a["_conv_stem.weight"], other["_conv_stem.weight"])


def test_a_file_gives_the_encoder_rounded_to_half_precision(
    encoder: Encoder, tmp_path: Path
) -> None:
    save_encoder(encoder, tmp_path / "e.safetensors", {"steps": 3})
    again = load_encoder(tmp_path / "e.safetensors", GENERATOR)
    for name, t in encoder.state_dict().items():
        if t.is_floating_point():
            assert torch.equal(t.half().float(), again.state_dict()[name])
    save_encoder(again, tmp_path / "f.safetensors", {"steps": 3})
    assert (tmp_path / "e.safetensors").read_bytes() == (tmp_path / "f.safetensors").read_bytes()


def test_a_folder_of_encoders_is_searched_by_generator_and_layer(
    encoder: Encoder, tmp_path: Path
) -> None:
    save_encoder(encoder, tmp_path / "e.safetensors", {})
    assert dict(encoders_in(tmp_path)) == {(GENERATOR.fingerprint, 5): tmp_path / "e.safetensors"}


def test_no_encoder_comes_for_an_unknown_generator() -> None:
    assert bundled_encoder(GENERATOR, 5) is None
    assert find_encoder(GENERATOR, picture(), Space.parse("FNW5")) is None
    assert possible_inits(GENERATOR, picture(), Space.parse("FNW5")) == ["two-stage", "mean"]
    assert possible_inits(GENERATOR, picture(64, 128), Space.parse("FNW5")) == ["mean"]
    assert possible_inits(GENERATOR, picture(), Space.parse("NW+")) == ["mean"]
    with pytest.raises(UsageError, match="no encoder for small and FNW5; train one"):
        encoder_init(GENERATOR, picture(), Space.parse("FNW5"))
    with pytest.raises(
        UsageError, match="no init 'encoder' for this image and FNW5; possible: two-stage, mean"
    ):
        project(GENERATOR, picture(), "FNW5", settings=PLAIN, init="encoder")


@pytest.mark.parametrize("space", ["FW5", "FNW5", "FNSW7", "NW+", "W+"])
def test_an_encoding_starts_any_space_it_can_reach(encoder: Encoder, space: str) -> None:
    start = encoder_init(GENERATOR, picture(), Space.parse(space), encoder)
    assert str(start.space) == space
    result = project(GENERATOR, picture(), space, settings=PLAIN, init=start)
    assert torch.equal(result.image, GENERATOR.render(start))
    assert result.latent.metadata["projection"]["start"] == "latent"


def test_the_start_of_a_projection_is_named_in_the_latent() -> None:
    for name in ("mean", "two-stage"):
        settings = PLAIN.replace(init_steps=1)
        result = project(GENERATOR, picture(), "FNW5", settings=settings, init=name)
        assert result.latent.metadata["projection"]["start"] == name


def test_a_layer_finer_than_the_trunk_is_refused() -> None:
    with pytest.raises(UsageError, match="layer 9 has 64×64 cells, expected 1/2 to 1/32"):
        EncoderShape.from_generator(GENERATOR, 9)


def test_another_generator_is_refused(encoder: Encoder, tmp_path: Path) -> None:
    other = small_generator(seed=1)
    with pytest.raises(
        FingerprintError, match="expected the generator that this encoder was trained for"
    ):
        encoder.encode(other, picture())
    save_encoder(encoder, tmp_path / "e.safetensors", {})
    with pytest.raises(FingerprintError, match=r"e\.safetensors: an encoder of another generator"):
        load_encoder(tmp_path / "e.safetensors", other)


@pytest.mark.parametrize("size", [(60, 64), (64, 68), (16, 64)])
def test_images_of_part_cells_or_too_small_are_refused(
    encoder: Encoder, size: tuple[int, int]
) -> None:
    with pytest.raises(UsageError, match="whole feature cells and at least 32 px"):
        encoder.encode(GENERATOR, picture(*size))


def test_an_image_without_a_batch_axis_is_refused(encoder: Encoder) -> None:
    with pytest.raises(UsageError, match=r"expected images \[N, 3, H, W\], got \[3, 64, 64\]"):
        encoder.encode(GENERATOR, picture()[0])


def test_other_files_are_refused(encoder: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    with pytest.raises(ModelFileError, match=r"e\.safetensors: no such file; expected an encoder"):
        load_encoder(path, GENERATOR)
    path.write_bytes(b"not a file")
    with pytest.raises(ModelFileError, match=r"e\.safetensors: damaged"):
        load_encoder(path, GENERATOR)
    GENERATOR.sample(0).save(path)
    with pytest.raises(ModelFileError, match="expected an encoder of version 4"):
        load_encoder(path, GENERATOR)
    with path.open("wb") as file:
        file.truncate((256 << 20) + 1)
    with pytest.raises(ModelFileError, match="larger than 256 MiB"):
        load_encoder(path, GENERATOR)


def test_a_file_that_lacks_a_tensor_or_has_other_shapes_is_refused(
    encoder: Encoder, tmp_path: Path
) -> None:
    import safetensors.torch
    from safetensors import safe_open

    path = tmp_path / "e.safetensors"
    save_encoder(encoder, path, {})
    with safe_open(path, framework="pt") as file:
        metadata = json.loads(file.metadata()["invert"])
    tensors = safetensors.torch.load(path.read_bytes())
    less = {k: v for k, v in tensors.items() if k != "w_avg"}
    safetensors.torch.save_file(less, path, {"invert": json.dumps(metadata)})
    with pytest.raises(ModelFileError, match=r"damaged encoder file .*"):
        load_encoder(path, GENERATOR)
    metadata["shape"]["channels"] = 7
    safetensors.torch.save_file(tensors, path, {"invert": json.dumps(metadata)})
    with pytest.raises(ModelFileError, match="its shapes are not this generator's"):
        load_encoder(path, GENERATOR)


def test_every_encoder_of_the_package_says_what_it_is() -> None:
    folder = Path(invert.weights.__file__).parent / BUNDLED
    files = sorted(folder.glob("*.safetensors"))
    assert files
    assert bundled_encoders()[FFHQ_MOBILE, 5] in files
    for path in files:
        assert path.with_suffix(".md").exists()
        assert path.stat().st_size < 16 << 20
        metadata, tensors = load_safetensors(path.read_bytes())
        assert len(metadata["fingerprint"]) == 64
        assert metadata["facts"]["held_out"]["features"] < 0.5
        assert metadata["facts"]["steps"] > 0
        encoder = Encoder(EncoderShape(**metadata["shape"]))
        missing = encoder.load_state_dict(
            {k: v.float() for k, v in tensors.items()}, strict=False
        ).missing_keys
        assert all(name.endswith("num_batches_tracked") for name in missing)
