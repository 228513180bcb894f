"""Generators of FNZ_i: the layers before i do not exist, and F_i is sampled ([S] chapter 8)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from networks import small_checkpoint, small_generator, small_map_checkpoint, small_map_generator

from directions.sefa import factorize
from edits.along_direction import move
from edits.mixer import mix
from edits.style_mixing import style_mix
from invert.checkpoints import fingerprint, read_checkpoint, write_checkpoint
from invert.checkpoints.checkpoint import stylegan2_config
from invert.describe import describe
from invert.encoders.samples import Samples
from invert.errors import LatentError, ModelFileError, SpaceError, UsageError
from invert.generator import Generator
from invert.latent_maps.kinds import KINDS, new_latent_map
from invert.latents import statistics
from invert.latents.latent import Latent
from invert.loading import generator_from_checkpoint
from invert.metrics.distribution_distance import distribution_distances
from invert.networks.initialize import untrained_stylegan2
from invert.projection.companion import ensure_companion


@pytest.fixture(scope="module")
def generator() -> Generator:
    return small_map_generator()


def late_half(plain: Generator, first: int) -> tuple[Generator, Latent]:
    """The layers from i on of a plain generator of `small_checkpoint`, and its FNW_i point."""
    latent = plain.sample(5, space=f"FNW{first}")
    checkpoint = small_checkpoint()
    block = 4 << first // 2
    tensors = {
        name: t
        for name, t in checkpoint.tensors.items()
        if name.startswith("mapping.") or int(name.split(".")[1][1:]) >= block
    }
    tensors = {name: t for name, t in tensors.items() if f".b{block}.conv0." not in name}
    tensors[f"synthesis.b{block}.const"] = latent.features[0]  # type: ignore[index]
    config = stylegan2_config(latent_map=new_latent_map("normal", 32, block))
    late = dataclasses.replace(checkpoint, tensors=tensors, config=config)
    return generator_from_checkpoint(late, name="late"), latent


@pytest.mark.parametrize("first", [3, 5])
def test_the_layers_from_i_on_of_a_plain_network_make_the_same_image(first: int) -> None:
    plain = small_generator()
    late, latent = late_half(plain, first)
    assert latent.rgb is not None
    wanted = plain.render(latent.replace(rgb=torch.zeros_like(latent.rgb)))
    torch.testing.assert_close(late.render(late.sample(5)), wanted, atol=1e-5, rtol=0)
    assert late.network.first == first
    assert late.num_ws == plain.num_ws
    assert late.network.layers[first - 1 :] == plain.network.layers[first - 1 :]


@pytest.mark.parametrize("first", [3, 5])
@pytest.mark.parametrize("space", ["Z", "W", "W+", "NW+", "SW+", "FNZ", "FNW", "FSW", "FW"])
def test_every_space_renders_what_w_does(first: int, space: str) -> None:
    generator = small_map_generator(first)
    space = space + str(first) if space[0] == "F" else space
    z = generator.sample(2, space="Z")
    latent = generator.convert(z, space)
    torch.testing.assert_close(generator.render(latent), generator.render(z), atol=1e-5, rtol=0)
    assert len(latent.noise or ()) in (0, generator.num_layers)
    if latent.rgb is not None:
        assert not latent.rgb.any()


def test_later_spaces_render_what_the_first_one_does(generator: Generator) -> None:
    start = generator.sample([1, 2], space="FNZ3")
    for space in ("FNW3", "FNW4", "FNSW6", "FNW9"):
        later = generator.convert(start, space)
        images = generator.render(later), generator.render(start)
        torch.testing.assert_close(*images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("space", ["FNW1", "FW2", "FNZ1", "FSW2"])
def test_a_space_of_layers_that_do_not_exist_is_refused(generator: Generator, space: str) -> None:
    with pytest.raises(SpaceError, match=r"starts from F_3, which is sampled.*FNZ3, FW3"):
        generator.sample(0, space=space)
    with pytest.raises(SpaceError, match="does not exist"):
        generator.convert(generator.sample(0), space)
    with pytest.raises(SpaceError, match="does not exist"):
        generator.target_distribution("features", 2)


def test_styles_of_layers_that_do_not_exist_have_no_effect(generator: Generator) -> None:
    a, b = (generator.sample(seed, space="W+") for seed in (0, 1))
    styles = torch.cat([b.style_tensor()[:, :2], a.style_tensor()[:, 2:]], 1)
    same = a.replace(styles=styles)
    assert torch.equal(generator.render(same), generator.render(a))
    other = style_mix(generator, a, b, (2, 3))
    assert not torch.allclose(generator.render(other), generator.render(a))


def test_a_sampled_map_depends_on_its_seed_alone(generator: Generator) -> None:
    both = generator.sample([3, 4], space="FNZ3")
    one = generator.sample(4, space="FNZ3")
    assert all(map(torch.equal, both[1].tensors(), one.tensors()))
    assert not torch.equal(both[0].features, both[1].features)  # type: ignore[arg-type]
    deviation = generator.sample(range(40), space="FW3").features.std()  # type: ignore[union-attr]
    assert 0.9 < deviation < 1.1


def test_a_larger_map_contains_the_smaller_one(generator: Generator) -> None:
    small = generator.sample(3, space="FNW3")
    large = generator.sample(3, space="FNW3", features=(12, 20))
    assert large.features is not None
    assert generator.render(large).shape[2:] == (96, 160)
    torch.testing.assert_close(large.features[:, :, :8, :8], small.features)
    for n, wide in zip(small.noise or (), large.noise or (), strict=True):
        assert torch.equal(wide[:, :, : n.shape[2], : n.shape[3]], n)
    # F_5 has 2×2 cells for each of F_3.
    features = generator.sample(3, space="FNW5", features=(24, 40)).features
    assert features is not None
    assert features.shape[2:] == (24, 40)


def test_sizes_that_cannot_be_sampled_are_refused(generator: Generator) -> None:
    with pytest.raises(LatentError, match="even height and width"):
        generator.sample(0, space="FNZ3", features=(9, 8))
    with pytest.raises(UsageError, match="expected multiples of 2, got 6×9"):
        generator.sample(0, space="FNW5", features=(9, 6))
    with pytest.raises(UsageError, match="W has no features; sample in FNZ3"):
        generator.sample(0, features=(8, 8))
    with pytest.raises(UsageError, match="small has a learned constant"):
        small_generator().sample(0, space="FNW3", features=(8, 8))


@pytest.mark.parametrize("kind", [*KINDS, "blurred+polygons"])
def test_a_checkpoint_is_read_as_it_was_written(kind: str, tmp_path: Path) -> None:
    checkpoint = small_map_checkpoint(5, kind=kind)
    path = tmp_path / "map.safetensors"
    write_checkpoint(path, checkpoint)
    again = read_checkpoint(path)
    assert again.config == checkpoint.config
    assert again.tensors.keys() == checkpoint.tensors.keys()
    before, after = (fingerprint(c.tensors, c.config) for c in (checkpoint, again))
    assert before == after
    one, other = (generator_from_checkpoint(c).network.latent_map for c in (checkpoint, again))
    assert one == other


def test_plain_checkpoints_have_the_config_they_always_had() -> None:
    assert list(stylegan2_config()) == ["conv_clamp", "mapping_lr_multiplier", "resample_filter"]
    digest = fingerprint({"a": torch.zeros(1)}, stylegan2_config())
    assert digest.startswith("c1d4a130c07c7c8a")


def test_a_description_has_the_latent_map(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "map.safetensors", small_map_checkpoint())
    facts = describe(tmp_path / "map.safetensors")
    assert facts["latent_map"] == {"kind": "blurred", "channels": 32, "sigma_max": 2.0}
    assert (facts["layers"], facts["num_ws"], facts["first_layer"]) == (7, 10, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, c: c.pop("latent_map"), "expected a latent_map.*starts at block 8"),
        (lambda t, c: c["latent_map"].update(channels=31), "expected 32 channels, those of F_3"),
        (lambda t, c: c["latent_map"].update(kind="clouds"), "unknown kind 'clouds'"),
        (lambda t, c: c.update(latent_map=3), "should name its kind"),
        (lambda t, c: t.pop("synthesis.b8.const"), "expected synthesis blocks 4, 8, 16"),
        (lambda t, c: t.pop("synthesis.b16.conv1.weight"), r"b16\.conv1\.weight"),
        (
            lambda t, c: t.update({"synthesis.b8.const": torch.zeros(32, 9, 8)}),
            "expected 8×8 cells, or a rectangle of at most 64 a side, in multiples of 2, got 9×8",
        ),
    ],
)
def test_a_checkpoint_that_contradicts_itself_is_refused(change, message, tmp_path) -> None:
    checkpoint = small_map_checkpoint()
    tensors, config = dict(checkpoint.tensors), dict(checkpoint.config)
    config["latent_map"] = dict(config["latent_map"])
    change(tensors, config)
    broken = dataclasses.replace(checkpoint, tensors=tensors, config=config)
    with pytest.raises(ModelFileError, match=message):
        write_checkpoint(tmp_path / "broken.safetensors", broken)


def test_a_plain_checkpoint_has_no_latent_map(tmp_path: Path) -> None:
    latent_map = new_latent_map("normal", 32, 4)
    odd = dataclasses.replace(small_checkpoint(), config=stylegan2_config(latent_map=latent_map))
    with pytest.raises(ModelFileError, match="expected no latent_map"):
        write_checkpoint(tmp_path / "odd.safetensors", odd)


def test_networks_that_cannot_start_there_are_refused() -> None:
    latent_map = new_latent_map("normal", 32, 8)
    for first in (2, 4, 0, 9):
        with pytest.raises(UsageError, match="an odd layer"):
            untrained_stylegan2(64, channel_max=32, first=first, latent_map=latent_map)
    with pytest.raises(UsageError, match="a latent map is given with a first layer above 1"):
        untrained_stylegan2(64, channel_max=32, first=3)
    with pytest.raises(UsageError, match="F_3 has 16 channels here, got a latent map of 32"):
        untrained_stylegan2(64, channel_max=16, first=3, latent_map=latent_map)


def test_images_that_are_not_square_can_start_from_a_map() -> None:
    checkpoint = small_map_checkpoint(5, start=(4, 6))
    generator = generator_from_checkpoint(checkpoint)
    assert generator.image_size == (64, 96)
    assert generator.render(generator.sample(0, space="FNZ5")).shape[2:] == (64, 96)


def test_previews_begin_with_the_first_sum_that_is_not_zero(generator: Generator) -> None:
    assert generator.preview_sizes == (8, 16, 32)
    latent = generator.sample(0, space="FNZ3")
    assert generator.preview(latent, 16).shape[2:] == (16, 16)
    assert generator.preview(generator.sample(0), 8).std() > 0.1


def test_distributions_are_those_of_sampled_maps(
    generator: Generator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(statistics, "TARGET_SAMPLES", 128)
    monkeypatch.setattr(statistics, "LEAST_SAMPLES", 128)
    # Of many draws, not of the one that is stored.
    ordered = statistics.map_distributions(generator.network, 3)["features"]
    assert abs(ordered.mean()) < 0.02
    assert abs(ordered.std() - 1) < 0.02
    generator.target_distribution("features", 5, cache_dir=tmp_path)
    draws = generator.convert(generator.sample(range(8), space="FNW3"), "FNW5")
    distances = distribution_distances(generator, draws)
    spread = generator.target_distribution("features", 5).std()
    assert distances["features"] < 0.2 * spread


def test_edits_reach_a_sampled_point(generator: Generator) -> None:
    offset = torch.zeros(generator.num_ws, generator.w_dim)
    offset[:, 0] = 1
    point = generator.sample(0, space="FNZ3")
    moved = move(generator, point, offset)
    assert torch.equal(moved.features, point.features)  # type: ignore[arg-type]
    assert not torch.allclose(generator.render(moved), generator.render(point))
    back = move(generator, moved, -offset)
    images = generator.render(back), generator.render(point)
    torch.testing.assert_close(*images, atol=1e-4, rtol=0)


def test_a_point_at_the_first_layer_has_its_styles_as_companion(generator: Generator) -> None:
    point = generator.sample(0, space="FNW3")
    companion = ensure_companion(generator, point).companion
    assert companion is not None
    styles = generator.sample(0, space="W+").style_tensor()
    torch.testing.assert_close(companion.styles, styles)


def test_points_are_mixed_under_a_mask(generator: Generator) -> None:
    a, b = (generator.sample(seed, space="FNW3") for seed in (0, 1))
    mask = torch.zeros(1, 1, 64, 64)
    mask[:, :, :, 32:] = 1
    mixed = generator.render(mix(generator, a, b, mask))
    torch.testing.assert_close(
        mixed[:, :, 20:40, :2], generator.render(a)[:, :, 20:40, :2], atol=0.5, rtol=0
    )
    mix(generator, generator.sample(0), generator.sample(1), mask)


def test_sefa_factorizes_the_layers_that_exist(generator: Generator) -> None:
    all_of_them, existing = (factorize(generator, r, 1)[0] for r in ((0, 6), (2, 6)))
    assert torch.equal(all_of_them.vectors, existing.vectors)
    with pytest.raises(UsageError, match="styles 0 to 1 have no effect"):
        factorize(generator, (0, 2), 1)


def test_samples_for_encoders_have_sampled_maps(generator: Generator) -> None:
    for layer in (3, 5):
        points = Samples(generator, layer).points(0, 4)
        assert points.encoding.features.std(0).mean() > 0.1
        assert len(points.noise) == generator.num_ws - layer
