"""Smaller pictures by fewer layers: a StyleGAN2's RGB sums, and a MobileStyleGAN's averages."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from networks import small_checkpoint, small_generator, small_mobile

from invert.checkpoints import Checkpoint
from invert.errors import UsageError
from invert.generator import Generator
from invert.images.images import area_downscale
from invert.latents.latent import Latent
from invert.loading import generator_from_checkpoint, load_generator
from invert.networks.coarse import band_kernel, coarse_kernel
from invert.networks.haar import HaarSynthesis


@pytest.fixture(scope="module")
def mobile() -> Generator:
    return small_mobile()


def points(generator: Generator, space: str) -> Latent:
    return generator.convert(generator.sample([0, 1]), space)


# --- StyleGAN2


@pytest.mark.parametrize("space", ["W", "NW+", "FNW5", "FSW3"])
def test_a_stylegan2s_preview_is_the_picture_of_the_network_without_its_last_blocks(
    space: str,
) -> None:
    whole, checkpoint = small_generator(), small_checkpoint()
    tensors = {k: t for k, t in checkpoint.tensors.items() if not k.startswith("synthesis.b64.")}
    small = generator_from_checkpoint(
        Checkpoint("stylegan2", "invert", checkpoint.config, tensors, {})
    )
    latent = points(whole, space)
    latent = latent.replace(rgb=None if latent.rgb is None else latent.rgb + 0.1)

    # The same point of the network that ends at 32 px has two layers less.
    parts = latent.replace(companion=None)
    if latent.space.base == "W+":
        styles = latent.style_list()[:-2]
        parts = parts.replace(
            styles=tuple(styles) if latent.space.spatial else torch.stack(styles, 1),
            noise=None if latent.noise is None else latent.noise[:-2],
        )
    expected = small.render(small.adopt(parts))
    assert torch.allclose(whole.preview(latent, 32), expected, atol=1e-5)
    assert torch.allclose(whole.preview(latent, 32, one_pass=True), expected, atol=1e-5)


def test_gradients_reach_every_part_of_a_point() -> None:
    generator = small_generator()
    latent = points(generator, "FNW5").map(lambda t: t.clone().requires_grad_())
    generator.preview(latent, 32, one_pass=True).square().sum().backward()
    assert all(t is not None and t.grad is not None and bool(t.grad.any()) for t in early(latent))
    noise = latent.noise
    assert noise is not None
    assert noise[0].grad is not None
    assert noise[-1].grad is None  # the last layers did not run


def early(latent: Latent) -> list[torch.Tensor | None]:
    return [latent.features, latent.rgb, latent.style_tensor()]


# --- kernels of averages


def test_the_band_kernels_make_the_average_of_the_convolved_picture() -> None:
    random = torch.Generator().manual_seed(0)
    bands = torch.randn(1, 4 * 3, 6, 6, generator=random, dtype=torch.float64)
    kernel = torch.randn(3, 1, 3, 3, generator=random, dtype=torch.float64)
    full = F.conv2d(HaarSynthesis.apply(bands), kernel, padding=1, groups=3)
    made = F.conv2d(bands, band_kernel(kernel), padding=1, groups=12)
    assert torch.allclose(sum(made.chunk(4, 1)), F.avg_pool2d(full, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize("ratio", [2, 4])
def test_a_coarse_kernel_makes_the_average_for_maps_that_are_constant_in_blocks(ratio: int) -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, 6, 6, generator=random, dtype=torch.float64)
    kernel = torch.randn(3, 1, 3, 3, generator=random, dtype=torch.float64)
    blocks = x.repeat_interleave(ratio, 2).repeat_interleave(ratio, 3)
    full = F.conv2d(blocks, kernel, padding=1, groups=3)
    made = F.conv2d(x, coarse_kernel(kernel, ratio), padding=1, groups=3)
    assert torch.allclose(made, F.avg_pool2d(full, ratio))


# --- MobileStyleGAN


def test_a_mobile_preview_at_half_the_size_is_the_downscaled_picture(mobile: Generator) -> None:
    latent = points(mobile, "FNW3")
    true = area_downscale(mobile.render(latent), (32, 32))
    assert torch.allclose(mobile.preview(latent, 32), true, atol=1e-5)


@pytest.mark.parametrize(("size", "share"), [(256, 0.01), (128, 0.05)])
def test_a_preview_of_ffhq_mobile_misses_little_of_the_downscaled_pictures_variance(
    size: int, share: float
) -> None:
    generator = load_generator("ffhq-mobile")
    latent = generator.sample(3001)
    true = area_downscale(generator.render(latent), (size, size))
    assert (generator.preview(latent, size) - true).square().mean() < share * true.var()


def test_gradients_of_a_mobile_preview_reach_features_noise_and_all_styles(
    mobile: Generator,
) -> None:
    latent = points(mobile, "FNW3").map(lambda t: t.clone().requires_grad_())
    picture = mobile.preview(latent, 16, one_pass=True)
    assert picture.shape == (2, 3, 16, 16)
    assert torch.allclose(picture, mobile.preview(latent, 16), atol=1e-5)
    picture.square().sum().backward()
    assert latent.features is not None
    assert latent.features.grad is not None
    assert latent.features.grad.any()
    styles, noise = latent.style_tensor().grad, latent.noise
    assert styles is not None
    assert styles.abs().sum((0, 2)).all()
    assert noise is not None
    assert all(n.grad is not None for n in noise)


def test_a_style_map_that_is_constant_previews_as_its_vector(mobile: Generator) -> None:
    latent = mobile.convert(mobile.sample(0), "FSW3")
    maps = tuple(s.expand(-1, -1, 2, 2) for s in latent.style_list())
    expected = mobile.preview(latent, 16)
    assert torch.allclose(mobile.preview(latent.replace(styles=maps), 16), expected, atol=1e-5)


def test_a_canvas_has_a_preview_in_proportion(mobile: Generator) -> None:
    latent = mobile.convert(mobile.sample(0), "FW5")
    assert latent.features is not None
    wide = latent.replace(features=latent.features.repeat(1, 1, 1, 2))
    assert mobile.preview(wide, 16).shape == (1, 3, 16, 32)


# --- sizes


def test_there_is_a_preview_of_every_resolution_below_the_full_one(mobile: Generator) -> None:
    assert small_generator().preview_sizes == (4, 8, 16, 32)
    assert mobile.preview_sizes == (4, 8, 16, 32)


def test_a_size_that_there_is_not_is_refused_with_those_there_are(mobile: Generator) -> None:
    with pytest.raises(UsageError, match=r"previews of W are 4, 8, 16, 32 px here, got 64; render"):
        mobile.preview(mobile.sample(0), 64)
    with pytest.raises(UsageError, match=r"previews of FW7 are 32 px here, got 16"):
        mobile.preview(mobile.convert(mobile.sample(0), "FW7"), 16)


@pytest.mark.parametrize("size", [8, 16, 32])
def test_a_mobile_preview_has_the_styles_of_a_map_where_they_are(
    mobile: Generator, size: int
) -> None:
    both = points(mobile, "FSW3").replace(companion=None)
    assert both.features is not None
    wide = both.features[:1].repeat(1, 1, 1, 4)
    left, right = (both[k].replace(features=wide) for k in (0, 1))
    maps = [
        torch.cat([a.expand(-1, -1, 8, 16), b.expand(-1, -1, 8, 16)], 3)
        for a, b in zip(left.style_list(), right.style_list(), strict=True)
    ]
    mixed = mobile.preview(left.replace(styles=tuple(maps)), size)

    # Far from the border of both each half is what it is alone.
    for side, alone in ((slice(0, size), left), (slice(-size, None), right)):
        assert torch.allclose(mixed[..., side], mobile.preview(alone, size)[..., side], atol=1e-4)
