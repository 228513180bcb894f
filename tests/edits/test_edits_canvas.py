"""Latents move by whole cells: every map alike, so that the image moves as one."""

from __future__ import annotations

import pytest
import torch
from networks import small_generator, small_mobile
from scipy.stats import kstest

from edits.along_direction import move
from edits.blending import resize_map
from edits.canvas import Placement, crop, place, shift
from edits.cropping import window
from edits.log import describe_latent
from invert.errors import LatentError, UsageError
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.projection.companion import ensure_companion

SPACES = ["FW5", "FNW5", "FSW5", "FNSW5", "FNZ5"]


@pytest.fixture(scope="module", params=["stylegan2", "mobile"])
def generator(request: pytest.FixtureRequest) -> Generator:
    return (
        small_generator(dtype=torch.float64)
        if request.param == "stylegan2"
        else small_mobile(torch.float64)
    )


def random_maps(generator: Generator, latent: Latent, side: int) -> Latent:
    """The latent with style maps of side × side cells that vary."""
    g = torch.Generator().manual_seed(0)
    maps = tuple(
        s + 0.3 * torch.randn(1, s.shape[1], side, side, generator=g).to(s)
        for s in latent.style_list()
    )
    result = latent.replace(styles=maps)
    generator.check(result)
    return result


def same(a: Latent, b: Latent) -> bool:
    return all(torch.equal(s, t) for s, t in zip(a.tensors(), b.tensors(), strict=True))


@pytest.mark.parametrize("space", SPACES)
def test_shifted_there_and_back_the_inside_is_the_same(generator: Generator, space: str) -> None:
    x = generator.sample([0, 1], space=space)
    back = shift(shift(x, (4, -2)), (-4, 2))
    assert same(crop(back, (0, 2, 12, 14)), crop(x, (0, 2, 12, 14)))
    assert not torch.equal(back.features, x.features)


def test_a_shift_moves_the_image_by_its_cells() -> None:
    generator = small_generator(128, dtype=torch.float64)
    x = random_maps(generator, generator.sample(0, space="FNSW5"), 8)
    moved = shift(x, (2, -4))
    generator.check(moved)
    image, after = generator.render(x), generator.render(moved)
    # 8 px a cell; a window farther from the borders than the reach of the convolutions
    assert (after[..., 56:64, 72:80] - image[..., 88:96, 56:64]).abs().max() < 1e-8
    assert (image[..., 56:64, 72:80] - image[..., 88:96, 56:64]).abs().max() > 0.1


@pytest.mark.parametrize("side", [1, 2, 3, 8, 16])
def test_stored_style_maps_move_with_the_features_whatever_their_size(
    generator: Generator, side: int
) -> None:
    x = random_maps(generator, generator.sample(0, space="FSW5"), side)
    moved = shift(x, (2, 2))
    generator.check(moved)
    assert {s.shape[2] for s in moved.style_list()} == {side if side in (1, 8, 16) else 16}
    for before, after in zip(x.style_list(), moved.style_list(), strict=True):
        # as the generator enlarges them to the features' cells; 4 is past what was drawn out at the
        # border
        s, t = resize_map(before, (16, 16)), resize_map(after, (16, 16))
        assert torch.allclose(t[:, :, 4:14, 4:14], s[:, :, 2:12, 2:12])


def test_a_crop_is_the_shapes_of_a_smaller_canvas(generator: Generator) -> None:
    x = generator.sample([0, 1], space="FNW5")
    small = crop(x, (2, 4, 8, 6))
    assert generator.check(small).features == (6, 8)
    assert generator.render(small).shape[2:] == (
        6 * generator.resolution // 16,
        8 * generator.resolution // 16,
    )
    assert torch.equal(small.features, x.features[:, :, 4:10, 2:10])
    assert small.companion is None
    whole = crop(x, (0, 0, 16, 16))
    assert same(whole, x)
    assert torch.equal(whole.companion.styles, x.companion.styles)
    assert whole.metadata["made_by"] == "crop"


def test_borders_are_drawn_out_and_noise_repeats(generator: Generator) -> None:
    x = generator.sample(0, space="FNW5")
    wide = window(x, (-4, 0, 24, 16))
    assert wide.features is not None
    assert wide.noise is not None
    assert x.features is not None
    assert x.noise is not None
    assert torch.equal(wide.features[..., :4], x.features[..., :1].expand(-1, -1, -1, 4))
    assert torch.equal(wide.features[..., 20:], x.features[..., -1:].expand(-1, -1, -1, 4))
    for n, m in zip(wide.noise, x.noise, strict=True):
        cells = m.shape[3] // 16 * 4
        assert torch.equal(n[..., :cells], m[..., -cells:])
        assert torch.equal(n[..., -cells:], m[..., :cells])
    generator.check(wide)


def test_two_latents_side_by_side_are_each_themselves_far_from_the_seam() -> None:
    generator = small_generator(256, dtype=torch.float64)
    a, b = generator.sample(0, space="FNW9"), generator.sample(1, space="FNW9")
    both = place(generator, (128, 64), [Placement(a), Placement(b, (64, 0))], feather=8)
    image = generator.render(both)
    assert image.shape == (1, 3, 256, 512)
    assert both.companion is None
    assert (image[..., :160] - generator.render(a)[..., :160]).abs().max() < 1e-10
    assert (image[..., -160:] - generator.render(b)[..., -160:]).abs().max() < 1e-10


def test_noise_on_a_canvas_is_standard_normal() -> None:
    generator = small_generator(dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    points = []
    for k in range(4):
        x = generator.sample(k, space="FNW5")
        points.append(
            x.replace(
                noise=tuple(torch.randn(n.shape, generator=g, dtype=n.dtype) for n in x.noise or ())
            )
        )
    corners = [(0, 0), (12, 0), (0, 12), (12, 12)]
    canvas = place(
        generator,
        (28, 28),
        [Placement(x, at) for x, at in zip(points, corners, strict=True)],
        feather=24,
    )
    assert canvas.noise is not None
    assert kstest(canvas.noise[-1].flatten().numpy(), "norm").pvalue > 0.01
    seam = canvas.noise[-1][..., 44:52]
    assert kstest(seam.flatten().numpy(), "norm").pvalue > 0.01


def test_a_patch_is_laid_where_it_is_asked(generator: Generator) -> None:
    x, y = generator.sample(0, space="FNW5"), generator.sample(1, space="FNW5")
    assert x.features is not None
    assert y.features is not None
    patched = place(
        generator, (16, 16), [Placement(x), Placement(y, (6, 2), (8, 4, 4, 2))], feather=0
    )
    assert patched.features is not None
    assert torch.equal(patched.features[:, :, 2:4, 6:10], y.features[:, :, 4:6, 8:12])
    rest = torch.ones(16, 16, dtype=torch.bool)
    rest[2:4, 6:10] = False
    assert torch.equal(patched.features[..., rest], x.features[..., rest])
    assert patched.companion is None  # it is neither one's
    patched = ensure_companion(generator, patched)
    offset = torch.full((generator.num_ws, generator.w_dim), 0.3, dtype=torch.float64)
    back = move(generator, move(generator, patched, offset), -offset)
    assert (generator.render(back) - generator.render(patched)).abs().max() < 1e-10


def test_what_leaves_the_canvas_is_cut(generator: Generator) -> None:
    x, y = generator.sample(0, space="FNW5"), generator.sample(1, space="FNW5")
    cut = place(generator, (16, 16), [Placement(x), Placement(y, (-8, 12))], feather=0)
    assert cut.features is not None
    assert torch.equal(cut.features[:, :, 12:, :8], y.features[:, :, :4, 8:])


def test_one_latent_alone_is_itself(generator: Generator) -> None:
    x = generator.sample([0, 1], space="FNW5")
    alone = place(generator, (16, 16), [Placement(x)])
    assert same(alone, generator.convert(x, "FNSW5"))
    laid = {"at": [0, 0], "crop": None, **describe_latent(x)}
    assert alone.metadata["edits"] == [
        {"edit": "place", "canvas": [16, 16], "latents": 1, "placements": [laid]}
    ]


def test_boxes_that_do_not_fit_are_refused(generator: Generator) -> None:
    x = generator.sample(0, space="FNW5")
    with pytest.raises(UsageError, match="at least one latent"):
        place(generator, (16, 16), [])
    with pytest.raises(UsageError, match="at least 1×1 cells, got 0×16"):
        place(generator, (0, 16), [Placement(x)])
    with pytest.raises(UsageError, match="lies outside the canvas of 16×16"):
        place(generator, (16, 16), [Placement(x, (16, 0))])
    with pytest.raises(UsageError, match="crop 0, 0, 17, 4 is not inside the 16×16 cells"):
        place(generator, (16, 16), [Placement(x, crop=(0, 0, 17, 4))])
    with pytest.raises(UsageError, match="is not inside"):
        crop(x, (-2, 0, 4, 4))
    with pytest.raises(UsageError, match="at least one cell"):
        window(x, (0, 0, 0, 4))
    with pytest.raises(UsageError, match="leaves nothing of 16×16 cells"):
        shift(x, (0, -16))
    with pytest.raises(LatentError, match="W has no features to move; convert it"):
        shift(generator.sample(0), (2, 0))
    with pytest.raises(LatentError, match=r"SW\+ has no features to move"):
        place(generator, (16, 16), [Placement(generator.sample(0))])
    if generator.layer(5).rgb_size:
        for call in (
            lambda: shift(x, (1, 0)),
            lambda: crop(x, (0, 0, 3, 4)),
            lambda: place(generator, (16, 16), [Placement(x), Placement(x, (1, 0))]),
        ):
            with pytest.raises(UsageError, match="must be even"):
                call()
