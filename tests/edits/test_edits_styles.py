"""By layer, in between, in sums: the same in every space that holds the same image."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from networks import small_generator, small_map_generator, small_mobile

from directions.direction import Direction
from edits.along_direction import edit
from edits.mixer import mix
from edits.style_mixing import (
    TRAVELS,
    combine,
    frames,
    interpolate,
    resample,
    style_mix,
    travelling_mask,
)
from invert.errors import LatentError, UsageError
from invert.generator import Generator
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.latents.layer_ranges import named_ranges, style_range, styles_inside
from invert.latents.spaces import Space


@pytest.fixture(scope="module", params=["stylegan2", "mobile"])
def generator(request: pytest.FixtureRequest) -> Generator:
    return (
        small_generator(dtype=torch.float64)
        if request.param == "stylegan2"
        else small_mobile(torch.float64)
    )


def same(a: Latent, b: Latent) -> bool:
    return a.space == b.space and all(
        torch.equal(s, t) for s, t in zip(a.tensors(), b.tensors(), strict=True)
    )


def wide(latent: Latent) -> Latent:
    return latent.replace(
        features=torch.cat([latent.features, latent.features], 3),
        rgb=None if latent.rgb is None else torch.cat([latent.rgb, latent.rgb], 3),
        noise=tuple(torch.cat([n, n], 3) for n in latent.noise or ()),
    )


def test_ranges_are_named_by_the_resolution_of_their_layers() -> None:
    assert named_ranges(small_generator(256).network) == {
        "coarse": (0, 4),
        "middle": (4, 8),
        "fine": (8, 14),
        "all": (0, 14),
    }
    mobile = small_mobile()
    assert named_ranges(mobile.network)["middle"] == (4, 8)
    with pytest.raises(UsageError, match="8 styles has no fine ones"):
        style_range(mobile.network, "fine")


@pytest.mark.parametrize("styles", [(0, 0), (3, 2), (-1, 2), (0, 99)])
def test_impossible_ranges_are_refused(styles: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="a range inside 0 to 9"):
        style_range(small_generator().network, styles)


def test_unknown_range_names_are_refused() -> None:
    with pytest.raises(
        UsageError, match="unknown styles 'rough'; known: coarse, middle, fine, all"
    ):
        style_range(small_generator().network, "rough")


@pytest.mark.parametrize("layer", [1, 2, 3, 4, 5, 6])
def test_the_styles_inside_features_are_those_that_change_them(
    generator: Generator, layer: int
) -> None:
    x = generator.sample(0, space="W+")
    before = generator.convert(x, f"FW{layer}")
    changing = []
    for j in range(generator.num_ws):
        assert isinstance(x.styles, torch.Tensor)
        styles = x.styles.clone()
        styles[:, j] += 1
        after = generator.convert(x.replace(styles=styles), f"FW{layer}")
        parts = zip((before.features, before.rgb), (after.features, after.rgb), strict=True)
        changing.append(any(s is not None and not torch.equal(s, t) for s, t in parts))
    inside = styles_inside(generator.network, Space("W+", layer))
    assert changing == [True] * inside + [False] * (generator.num_ws - inside)
    assert styles_inside(generator.network, Space("W+")) == 0


@pytest.mark.parametrize(
    ("styles", "layer"), [("coarse", 5), ("middle", 5), ((4, 6), 5), ((0, 6), 5), ("coarse", 4)]
)
def test_style_mixing_commutes_with_conversion(
    generator: Generator, styles: str | tuple[int, int], layer: int
) -> None:
    a, b = generator.sample([0, 1]), generator.sample([2, 3])
    expected = generator.render(style_mix(generator, a, b, styles))
    assert (expected - generator.render(a)).abs().max() > 0.01
    for kind in ("FW", "FNW", "FNSW"):
        x, y = (generator.convert(latent, f"{kind}{layer}") for latent in (a, b))
        mixed = style_mix(generator, x, y, styles)
        assert (generator.render(mixed) - expected).abs().max() < 1e-10
        made = generator.convert(generator.latent(mixed.companion.styles), f"FW{layer}")
        assert (made.features - mixed.features).abs().max() < 1e-10


def test_all_styles_are_the_other_and_a_cut_through_the_features_is_refused(
    generator: Generator,
) -> None:
    a, b = generator.sample(0, space="FNW5"), generator.sample(1, space="FNW5")
    assert same(style_mix(generator, a, b, "all"), b)
    with pytest.raises(LatentError, match="styles 2 to 5 hold some of the first 4 styles"):
        style_mix(generator, a, b, (2, 6))
    with pytest.raises(LatentError, match="one image size"):
        style_mix(generator, wide(a), b, "middle")


def test_resampling_draws_some_layers_and_fixes_the_others(generator: Generator) -> None:
    x = generator.sample(0, space="FNW5")
    drawn = resample(generator, x, (6, generator.num_ws), 7, psi=0.7)
    assert torch.equal(drawn.features, x.features)
    assert torch.equal(drawn.styles[:, :2], x.styles[:, :2])
    other = generator.sample(7, psi=0.7, space="W+").styles
    assert torch.equal(drawn.styles[:, 2:], other[:, 6:])
    assert same(resample(generator, x, (6, generator.num_ws), 7, psi=0.7), drawn)
    assert not same(resample(generator, x, (6, generator.num_ws), 8, psi=0.7), drawn)
    assert [edit["edit"] for edit in drawn.metadata["edits"]] == ["resample"]
    batch = resample(generator, generator.sample([0, 1]), "coarse", 7)
    assert torch.equal(batch.styles[0, :4], batch.styles[1, :4])
    with pytest.raises(LatentError, match="one image size"):
        resample(generator, wide(x), "middle", 7)


def test_conditional_generators_resample_a_class() -> None:
    generator = small_generator(c_dim=3)
    x = generator.sample(0, label=1)
    assert not same(
        resample(generator, x, "coarse", 7, label=0), resample(generator, x, "coarse", 7, label=2)
    )
    with pytest.raises(UsageError, match="expected a label"):
        resample(generator, x, "coarse", 7)


@pytest.mark.parametrize("space", ["W", "NW", "W+", "NSW+", "FW5", "FNW5", "FNSW5"])
def test_interpolation_ends_at_its_ends_and_is_linear_between(
    generator: Generator, space: str
) -> None:
    a, b = generator.sample([0, 1], space=space), generator.sample([2, 3], space=space)
    assert same(interpolate(generator, a, b, 0), a)
    assert same(interpolate(generator, a, b, 1), b)
    middle = interpolate(generator, a, b, 0.25)
    for name in ("styles", "features", "rgb", "companion"):
        parts = [x.parts().get(name) for x in (a, b, middle)]
        if parts[0] is None:
            assert parts[2] is None
            continue
        for s, t, m in zip(*(p if isinstance(p, tuple) else (p,) for p in parts), strict=True):
            assert (m - (0.75 * s + 0.25 * t)).abs().max() < 1e-12


def test_interpolated_noise_keeps_its_variance() -> None:
    generator = small_generator(dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    x = generator.sample(0, space="NW+")
    a, b = (
        x.replace(noise=tuple(torch.randn(n.shape, generator=g).to(n) for n in x.noise or ()))
        for _ in range(2)
    )
    noise = interpolate(generator, a, b, 0.5).noise
    assert noise is not None
    assert noise[-1].std().item() == pytest.approx(1, abs=0.03)
    # two latents with the same noise keep it
    assert (interpolate(generator, a, a, 0.5).noise[-1] - a.noise[-1]).abs().max() < 1e-12


def test_style_maps_of_different_sizes_interpolate(generator: Generator) -> None:
    a, b = generator.sample(0, space="SW+"), generator.sample(1, space="SW+")
    fine = a.replace(styles=tuple(s.expand(-1, -1, 2, 4) for s in a.style_list()))
    middle = interpolate(generator, fine, b, 0.5)
    assert {tuple(s.shape[2:]) for s in middle.style_list()} == {(2, 4)}
    assert (
        generator.render(middle) - generator.render(interpolate(generator, a, b, 0.5))
    ).abs().max() < 1e-10


def test_spaces_that_differ_meet_in_the_common_one(generator: Generator) -> None:
    z, w, wide_space = (generator.sample(k, space=s) for k, s in enumerate(("Z", "NW", "FSW5")))
    assert str(interpolate(generator, z, w, 0.5).space) == "NW"
    assert str(interpolate(generator, w, wide_space, 0.5).space) == "FNSW5"
    assert str(interpolate(generator, w, wide_space.replace(companion=None), 0.5).space) == "FNSW5"


@pytest.mark.parametrize("t", [-0.1, 1.1, float("nan"), float("inf")])
def test_interpolation_outside_is_refused(generator: Generator, t: float) -> None:
    with pytest.raises(UsageError, match="t is a number in"):
        interpolate(generator, generator.sample(0), generator.sample(1), t)


@pytest.mark.parametrize("travel", [None, *TRAVELS])
def test_frames_lead_from_one_to_the_other(generator: Generator, travel: str | None) -> None:
    a, b = generator.sample(0, space="NW+"), generator.sample(1, space="NW+")
    images = [generator.render(x) for x in frames(generator, a, b, 5, travel)]
    assert len(images) == 5
    assert (images[0] - generator.render(a)).abs().max() < 1e-10
    assert (images[-1] - generator.render(b)).abs().max() < 1e-10
    if travel is not None:
        left = [(x - images[-1]).abs().mean() for x in images]
        assert all(later < earlier for earlier, later in pairwise(left))


@pytest.mark.parametrize(
    ("travel", "corner"), [("right", (0, 0)), ("down", (0, 0)), ("left", (0, 1)), ("up", (1, 0))]
)
def test_the_travelling_mask_starts_at_its_side(travel: str, corner: tuple[int, int]) -> None:
    masks = [travelling_mask((32, 48), travel, t) for t in (0, 0.25, 0.5, 1)]
    row, column = corner[0] * 31, corner[1] * 47
    assert masks[1][0, 0, row, column] > 0.9
    assert masks[1][0, 0, 31 - row, 47 - column] == 0
    assert masks[2].mean() == pytest.approx(0.5)
    assert masks[0].max() == 0
    assert masks[3].min() == 1
    assert masks[0].shape == (1, 1, 32, 48)


def test_frames_that_cannot_be_made_are_refused_before_the_first(generator: Generator) -> None:
    a, b = generator.sample(0, space="FNW5"), generator.sample(1, space="FNW5")
    with pytest.raises(UsageError, match="at least 2 frames"):
        frames(generator, a, b, 1)
    with pytest.raises(
        UsageError, match="unknown mask travel 'around'; known: right, left, down, up"
    ):
        frames(generator, a, b, 3, "around")
    with pytest.raises(LatentError, match="one image size"):
        frames(generator, a, wide(b), 3)
    with pytest.raises(LatentError, match="one image size"):
        interpolate(generator, a, wide(b), 0.5)


@pytest.mark.parametrize("space", ["W", "NW+", "NSW+", "FNW5"])
def test_sums_cancel_and_carry_differences(generator: Generator, space: str) -> None:
    a, b, c = (generator.sample([k, k + 10], space=space) for k in range(3))
    assert same(combine(generator, a, b, b), a)
    there = combine(generator, a, b, c)
    back = combine(generator, there, c, b)
    assert (
        max((s - t).abs().max().item() for s, t in zip(back.tensors(), a.tensors(), strict=True))
        < 1e-12
    )
    assert (generator.render(there) - generator.render(a)).abs().max() > 0.01
    if a.space.layer is not None:
        with pytest.raises(LatentError, match="one image size"):
            combine(generator, a, b, wide(c))


# --- what a companion remembers, and F_i that is drawn


def edited_and_back(generator: Generator, mixed: Callable[[Latent], Latent]) -> tuple[Latent, ...]:
    """F_5 with a residual, edited, changed by `mixed`, and edited back; and only changed."""
    x = generator.sample(0, space="FNW5")
    assert x.features is not None
    random = torch.Generator().manual_seed(1)
    rest = torch.randn(x.features.shape, generator=random, dtype=x.features.dtype)
    x = x.replace(features=x.features + 0.5 * x.features.std() * rest)
    vector = torch.randn(generator.w_dim, generator=random)
    tilt = Direction("tilt", vector / vector.norm(), sigma=1.0)
    there = edit(generator, x, tilt, 3.0)
    return edit(generator, mixed(there), tilt, -3.0), mixed(x)


@pytest.mark.parametrize("how", ["fine styles", "start"])
def test_an_edit_before_a_mixture_can_be_taken_back_after_it(
    generator: Generator, how: str
) -> None:
    b = generator.sample(1, space="FNW5").replace(companion=None)

    def mixed(x: Latent) -> Latent:
        if how == "start":
            return interpolate(generator, x, b, 0.0)
        return style_mix(generator, x, b, (6, generator.num_ws))

    back, expected = edited_and_back(generator, mixed)
    assert back.features is not None
    assert torch.allclose(back.features, expected.features, atol=1e-9)


def test_the_companion_of_a_mixture_is_that_of_its_features(generator: Generator) -> None:
    a, b = (generator.sample(seed, space="FNW5") for seed in (0, 1))
    inside = styles_inside(generator.network, a.space)
    for styles, early in (((0, inside), b), ((inside, generator.num_ws), a)):
        mixed = style_mix(generator, a, b, styles)
        assert mixed.companion is not None
        assert torch.equal(mixed.companion.styles[:, :inside], early.companion.styles[:, :inside])
        own = mixed.style_tensor()[:, inside - 4 :]
        assert torch.equal(mixed.companion.styles[:, inside:], own)


def test_windows_of_a_canvas_stay_when_its_later_styles_change(generator: Generator) -> None:
    canvas = wide(generator.sample(0, space="FNW5"))
    codes = torch.stack([generator.sample(k, space="W+").style_tensor() for k in (0, 1)], 1)
    corners = codes.new_tensor([[[0, 0], [16, 0]]])
    canvas = canvas.replace(companion=Companion(codes, corners))
    mixed = style_mix(generator, canvas, wide(generator.sample(1, space="FNW5")), (6, 8))
    assert mixed.companion is not None
    assert torch.equal(mixed.companion.windows, corners)
    inside = styles_inside(generator.network, canvas.space)
    assert torch.equal(mixed.companion.styles[:, :, :inside], codes[:, :, :inside])


def test_a_drawn_f_keeps_its_variance_in_between() -> None:
    generator = small_map_generator()
    a, b = (generator.sample(range(k, k + 40), space="FNW3") for k in (0, 40))
    assert a.features is not None
    mask = torch.full((1, 1, *generator.image_size), 0.5)
    for mixed in (interpolate(generator, a, b, 0.5), mix(generator, a, b, mask)):
        assert mixed.features is not None
        assert mixed.features.std() == pytest.approx(a.features.std().item(), rel=0.05)
    equal = interpolate(generator, a, a, 0.5)
    assert torch.allclose(equal.features, a.features, atol=1e-6)


def test_styles_of_layers_that_do_not_exist_are_refused() -> None:
    generator = small_map_generator()
    a, b = generator.sample(0), generator.sample(1)
    with pytest.raises(UsageError, match="styles 0 to 1 have no effect"):
        style_mix(generator, a, b, (0, 2))
