"""Under a mask: exactly one, exactly the other, and both in their places."""

from __future__ import annotations

import pytest
import torch
from networks import small_generator, small_mobile
from scipy.stats import kstest
from torch import Tensor

from edits.along_direction import move
from edits.canvas import shift
from edits.mixer import mix
from invert.errors import FingerprintError, LatentError, UsageError
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.projection.companion import ensure_companion

PAIRS = [
    ("W", "W", "SW+"),
    ("W+", "NW+", "NSW+"),
    ("FW3", "FNSW5", "FNSW5"),
    ("Z", "FW5", "FSW5"),
    ("FNW5", "FNW5", "FNSW5"),
]


@pytest.fixture(scope="module", params=["stylegan2", "mobile"])
def generator(request: pytest.FixtureRequest) -> Generator:
    return (
        small_generator(dtype=torch.float64)
        if request.param == "stylegan2"
        else small_mobile(torch.float64)
    )


def uniform(generator: Generator, value: float) -> Tensor:
    return torch.full((1, 1, generator.resolution, generator.resolution), value)


def left_half(generator: Generator) -> Tensor:
    mask = uniform(generator, 0)
    mask[..., : generator.resolution // 2] = 1
    return mask


def with_noise(generator: Generator, latent: Latent, seed: int) -> Latent:
    """Its noise maps drawn from N(0, 1)."""
    g = torch.Generator().manual_seed(seed)
    assert latent.noise is not None
    return latent.replace(
        noise=tuple(torch.randn(n.shape, generator=g, dtype=n.dtype) for n in latent.noise)
    )


@pytest.mark.parametrize(("space_a", "space_b", "space"), PAIRS)
def test_full_and_empty_masks_are_one_latent_bit_for_bit(
    generator: Generator, space_a: str, space_b: str, space: str
) -> None:
    a, b = generator.sample([0, 1], space=space_a), generator.sample([2, 3], space=space_b)
    for value, expected in ((0.0, a), (1.0, b)):
        mixed = mix(generator, a, b, uniform(generator, value), feather=5)
        assert str(mixed.space) == space
        converted = generator.convert(expected, space)
        assert all(
            torch.equal(s, t) for s, t in zip(mixed.tensors(), converted.tensors(), strict=True)
        )
        assert torch.equal(generator.render(mixed), generator.render(converted))
        assert (generator.render(mixed) - generator.render(expected)).abs().max() < 1e-10


def test_mixing_a_latent_with_itself_changes_nothing(generator: Generator) -> None:
    a = generator.sample(0, space="FNW5")
    mixed = mix(generator, a, a, left_half(generator))
    assert (generator.render(mixed) - generator.render(a)).abs().max() < 1e-10


def test_each_side_of_the_mask_is_its_own_image() -> None:
    generator = small_generator(256, dtype=torch.float64)
    a, b = generator.sample(0, space="FNW9"), generator.sample(1, space="FNW9")
    mixed = generator.render(mix(generator, a, b, left_half(generator)))
    # the seam is 1/8 of the side wide in fine styles, plus the reach of the convolutions
    assert (mixed - generator.render(b))[..., :72].abs().max() < 1e-10
    assert (mixed - generator.render(a))[..., -72:].abs().max() < 1e-10
    assert (generator.render(a) - generator.render(b)).abs().mean() > 0.1


def test_mixed_noise_is_standard_normal() -> None:
    generator = small_generator(dtype=torch.float64)
    x = generator.sample(range(4), space="FNW5")
    a, b = with_noise(generator, x, 0), with_noise(generator, x, 1)
    mixed = mix(generator, a, b, left_half(generator), feather=40)
    assert mixed.noise is not None
    values = torch.cat(
        [n[..., n.shape[3] // 4 : -(n.shape[3] // 4)].flatten() for n in mixed.noise]
    )
    assert kstest(values.numpy(), "norm").pvalue > 0.01
    plain = torch.cat(
        [
            torch.lerp(n, p, torch.tensor(0.5).double()).flatten()
            for n, p in zip(a.noise or (), b.noise or (), strict=True)
        ]
    )
    assert kstest(plain.numpy(), "norm").pvalue < 1e-6  # the test sees what it is for


def test_maps_are_the_equation_in_cells_of_the_mask(generator: Generator) -> None:
    a, b = generator.sample(0, space="FNW5"), generator.sample(1, space="FNW5")
    side = generator.resolution
    mask = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0)).double()
    mixed = mix(generator, a, b, mask)
    m = torch.nn.functional.avg_pool2d(mask, side // 16)
    assert a.features is not None
    assert b.features is not None
    assert (mixed.features - (a.features + m * (b.features - a.features))).abs().max() < 1e-12
    if a.rgb is not None and b.rgb is not None:
        m = torch.nn.functional.avg_pool2d(mask, side // 8)
        assert (mixed.rgb - (a.rgb + m * (b.rgb - a.rgb))).abs().max() < 1e-12


def test_kept_styles_are_those_of_the_first(generator: Generator) -> None:
    a, b = generator.sample(0, space="FNW5"), generator.sample(1, space="FNW5")
    mixed = mix(generator, a, b, left_half(generator), keep_styles=2).style_list()
    own = generator.convert(a, "FNSW5").style_list()
    assert [torch.equal(s, t) for s, t in zip(mixed, own, strict=True)] == [False] * (
        len(own) - 2
    ) + [True, True]


def test_a_shift_is_mixing_with_the_shifted(generator: Generator) -> None:
    a, b = generator.sample(0, space="FNW5"), generator.sample(1, space="FNW5")
    expected = mix(generator, a, shift(b, (4, -2)), left_half(generator))
    mixed = mix(generator, a, b, left_half(generator), shift=(4, -2))
    assert all(torch.equal(s, t) for s, t in zip(mixed.tensors(), expected.tensors(), strict=True))


def test_mixtures_mix_and_move_again(generator: Generator) -> None:
    a, b, c = (generator.sample(k, space="FNW5") for k in range(3))
    mixed = mix(
        generator,
        mix(generator, a, b, left_half(generator)),
        c,
        left_half(generator).flip(2).transpose(2, 3),
    )
    offset = torch.full((generator.num_ws, generator.w_dim), 0.3, dtype=torch.float64)
    mixed = ensure_companion(generator, mixed)
    back = move(generator, move(generator, mixed, offset), -offset)
    assert (generator.render(back) - generator.render(mixed)).abs().max() < 1e-10


def test_only_what_is_no_mixture_keeps_a_companion(generator: Generator) -> None:
    a, b = generator.sample(0, space="FNW5"), generator.sample(1, space="FNW5")
    empty, full, part = uniform(generator, 0), uniform(generator, 1), uniform(generator, 0)
    part[..., :10] = 1
    assert torch.equal(mix(generator, a, b, empty).companion.styles, a.companion.styles)
    assert torch.equal(mix(generator, a, b, full).companion.styles, b.companion.styles)
    assert mix(generator, a, b, part).companion is None
    assert mix(generator, a, b, full, shift=(2, 0)).companion is None


def test_what_an_edit_let_go_of_comes_back_after_an_empty_or_full_mask(
    generator: Generator,
) -> None:
    a, b = generator.sample(0, space="FNW5"), generator.sample(1, space="FNW5")
    offset = torch.full((generator.num_ws, generator.w_dim), 0.3, dtype=torch.float64)
    moved = move(generator, a.replace(features=a.features + b.features), offset)
    expected = generator.render(move(generator, moved, -offset))
    for pair, value in (((moved, b), 0), ((b, moved), 1)):
        mixed = mix(generator, *pair, uniform(generator, value))
        assert mixed.companion is not None
        assert mixed.companion.origin is not None
        assert (generator.render(move(generator, mixed, -offset)) - expected).abs().max() < 1e-10


def test_one_point_mixes_into_every_point_of_a_batch(generator: Generator) -> None:
    a, b = generator.sample([0, 1], space="FNW5"), generator.sample(2, space="FNW5")
    both = mix(generator, a, b, left_half(generator))
    alone = Latent.cat([mix(generator, a[k], b, left_half(generator)) for k in range(2)])
    assert (
        max(
            (s - t).abs().max().item() for s, t in zip(both.tensors(), alone.tensors(), strict=True)
        )
        < 1e-12
    )


def test_stored_maps_are_kept_at_their_size() -> None:
    generator = small_generator(256)
    a, b = generator.sample(0, space="FNW5"), generator.sample(1, space="FNW5")
    mask = left_half(generator)
    mixed = mix(generator, a, b, mask)
    assert [s.shape[3] for s in mixed.style_list()] == [
        min(layer.size, 32) for layer in generator.network.layers[4:]
    ]
    edited = move(
        generator, mixed, torch.full((generator.num_ws, 32), 0.1), mask=mask, features="keep"
    )
    again = mix(generator, edited, b, mask)
    assert [s.shape[3] for s in again.style_list()] == [
        min(layer.size, 64) for layer in generator.network.layers[4:]
    ]


def test_what_cannot_be_mixed_is_refused(generator: Generator) -> None:
    a, b = generator.sample(0, space="FNW5"), generator.sample(1, space="FNW5")
    mask, side = left_half(generator), generator.resolution
    with pytest.raises(UsageError, match="the mask has"):
        mix(generator, a, b, mask[:, :, 1:])
    with pytest.raises(UsageError, match="keep_styles is between 0 and"):
        mix(generator, a, b, mask, keep_styles=99)
    with pytest.raises(UsageError, match="keep_styles is between 0 and"):
        mix(generator, a, b, mask, keep_styles=-1)
    with pytest.raises(UsageError, match="feather is"):
        mix(generator, a, b, mask, feather=-1)
    with pytest.raises(UsageError, match="leaves nothing"):
        mix(generator, a, b, mask, shift=(16, 0))
    with pytest.raises(LatentError, match="no features to move"):
        mix(generator, generator.sample(0), generator.sample(1), mask, shift=(2, 0))
    with pytest.raises(LatentError, match="batches of one size"):
        mix(generator, generator.sample([0, 1]), generator.sample([0, 1, 2]), mask)
    with pytest.raises(FingerprintError):
        mix(generator, a, small_generator(seed=9).sample(0), mask)
    wide = b.replace(
        features=torch.cat([b.features, b.features], 3),
        rgb=None if b.rgb is None else torch.cat([b.rgb, b.rgb], 3),
        noise=tuple(torch.cat([n, n], 3) for n in b.noise or ()),
    )
    with pytest.raises(
        LatentError, match=f"one image size, got {side}×{side} and {2 * side}×{side} px"
    ):
        mix(generator, a, wide, mask)
    if generator.layer(5).rgb_size:
        with pytest.raises(UsageError, match="a shift must be even in FNSW5"):
            mix(generator, a, b, mask, shift=(1, 0))
