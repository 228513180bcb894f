"""On a canvas every face is found, gets a companion, and is edited in its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import small_generator, small_mobile
from torch import Tensor

from edits.along_direction import move
from edits.canvas import Placement, place
from invert.errors import LatentError, ModelFileError
from invert.generator import Generator
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.projection.companion import can_have_companion, ensure_companion, with_companion
from invert.projection.companion_search import local_minima, suppress_overlap
from invert.projection.companion_windows import SEAM, Windows

CANVAS, AT = (34, 20), ((0, 0), (18, 4))  # in cells of F_5, where a training image has 16×16
SIDE = 16


@pytest.fixture(scope="module", params=["stylegan2", "mobile"])
def generator(request: pytest.FixtureRequest) -> Generator:
    return (
        small_generator(dtype=torch.float64)
        if request.param == "stylegan2"
        else small_mobile(torch.float64)
    )


@pytest.fixture(scope="module")
def two(generator: Generator) -> Latent:
    """Two generated images on one canvas, with companions."""
    points = [generator.sample(k, space="FNW5") for k in (0, 1)]
    canvas = place(
        generator, CANVAS, [Placement(x, at) for x, at in zip(points, AT, strict=True)], feather=0
    )
    assert canvas.companion is None
    return with_companion(generator, canvas)


def offset(generator: Generator) -> Tensor:
    g = torch.Generator().manual_seed(0)
    return 0.3 * torch.randn(generator.num_ws, generator.w_dim, generator=g, dtype=torch.float64)


def left_mask(generator: Generator, canvas: Latent) -> Tensor:
    height, width = generator.check(canvas).image
    mask = torch.zeros(1, 1, height, width)
    mask[..., : width * SIDE // CANVAS[0]] = 1
    return mask


def test_images_are_found_where_they_were_placed(generator: Generator, two: Latent) -> None:
    assert two.companion is not None
    assert two.companion.windows is not None
    assert sorted(map(tuple, two.companion.windows[0].tolist())) == sorted(
        map(tuple, torch.tensor(AT).double().tolist())
    )
    assert two.companion.styles.shape == (1, 2, generator.num_ws, generator.w_dim)


def test_each_companion_makes_nearly_its_part(generator: Generator, two: Latent) -> None:
    assert two.companion is not None
    assert two.features is not None
    made = generator.convert(generator.latent(two.companion.styles[0]), "FW5").features
    assert made is not None
    part = Windows.from_latent(generator, two).cut(two.features)
    unexplained = (made - part).square().mean((1, 2, 3)) / part.var((1, 2, 3))
    assert unexplained.max() < 0.2


def test_where_there_is_no_image_there_is_no_companion(generator: Generator, two: Latent) -> None:
    assert two.features is not None
    g = torch.Generator().manual_seed(1)
    noise = two.replace(
        features=torch.randn(two.features.shape, generator=g, dtype=torch.float64), companion=None
    )
    assert with_companion(generator, noise).companion is None
    assert ensure_companion(generator, noise).companion is None


def test_only_one_large_enough_point_can_have_them(generator: Generator, two: Latent) -> None:
    assert can_have_companion(generator, two)
    assert not can_have_companion(generator, Latent.cat([two, two]))
    thin = place(generator, (40, 12), [Placement(generator.sample(0, space="FNW5"))])
    assert not can_have_companion(generator, thin)


def test_an_edit_moves_every_image_in_its_place(generator: Generator, two: Latent) -> None:
    """Each part moves as a latent of its own with the same companion would, but for the fading at
    inner borders.
    """
    assert two.features is not None
    assert two.companion is not None
    edited = move(generator, two, offset(generator), features="difference")
    assert edited.features is not None
    views = Windows.from_latent(generator, two)
    change = views.cut(edited.features - two.features)
    for k in range(2):
        styles = two.companion.styles[:, k]
        alone = [
            generator.convert(generator.latent(w), "FW5").features
            for w in (styles, styles + offset(generator))
        ]
        expected = alone[1] - alone[0]
        inner = (..., slice(SEAM, -SEAM), slice(SEAM, -SEAM))
        assert torch.allclose(change[k][inner], expected[0][inner], atol=1e-9)
    between = (
        edited.features[..., SIDE : CANVAS[0] - SIDE] - two.features[..., SIDE : CANVAS[0] - SIDE]
    )
    assert not between.any()
    if two.rgb is not None:  # has half of the cells here
        assert edited.rgb is not None
        assert (edited.rgb - two.rgb)[..., : SIDE // 2].abs().max() > 0.01
        assert torch.equal(
            edited.rgb[..., SIDE // 2 : AT[1][0] // 2], two.rgb[..., SIDE // 2 : AT[1][0] // 2]
        )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("features", ["residual", "difference"])
def test_there_and_back_returns(
    generator: Generator, two: Latent, features: str, masked: bool
) -> None:
    mask = left_mask(generator, two) if masked else None
    there = move(generator, two, offset(generator), features=features, mask=mask)
    assert (generator.render(there) - generator.render(two)).abs().max() > 0.01
    back = move(generator, there, -offset(generator), features=features, mask=mask)
    assert (generator.render(back) - generator.render(two)).abs().max() < 1e-10


def test_what_a_mask_leaves_out_stays_and_so_does_its_companion(
    generator: Generator, two: Latent
) -> None:
    assert two.features is not None
    assert two.companion is not None
    edited = move(generator, two, offset(generator), mask=left_mask(generator, two))
    assert edited.features is not None
    assert edited.companion is not None
    assert torch.equal(edited.features[..., SIDE:], two.features[..., SIDE:])
    moved = [
        not torch.equal(a, b)
        for a, b in zip(edited.companion.styles[0], two.companion.styles[0], strict=True)
    ]
    left = [x == 0 for x in two.companion.windows[0, :, 0].tolist()]
    assert moved == left


def test_windows_fade_inside_a_canvas_and_not_at_its_border() -> None:
    views = Windows(((0, 0), (6, 0)), (8, 20), (8, 8))
    t = torch.rand(1, 3, 8, 20)
    parts = views.cut(t)
    assert torch.equal(parts, torch.cat([t[..., :8], t[..., 6:14]]))
    weight = views.join(torch.ones_like(parts), t)[0, 0, 3]
    assert torch.equal(weight[:6], torch.ones(6))  # from the canvas's border on
    assert torch.allclose(weight[6:8], torch.tensor([1.0, 1.0]))  # 0.75 + 0.25 of two windows
    assert torch.allclose(weight[8:14], torch.tensor([1.0, 1.0, 1.0, 1.0, 0.75, 0.25]))
    assert not weight[14:].any()


def test_a_candidate_is_better_than_its_neighbours() -> None:
    shares = {
        (0, 0): 0.3,
        (2, 0): 0.8,
        (4, 0): 0.85,
        (6, 0): 0.7,
        (7, 0): 0.4,
        (2, 2): 0.5,
        (0, 2): 0.9,
    }
    assert local_minima(shares, 2) == {(0, 0): 0.3, (7, 0): 0.4}


def test_of_windows_that_overlap_the_better_stays() -> None:
    shares = {(0, 0): 0.3, (2, 0): 0.2, (9, 0): 0.5, (20, 0): 0.95}
    assert suppress_overlap(shares, (16, 16)) == [(2, 0)]
    assert suppress_overlap(shares, (10, 10)) == [(2, 0), (9, 0)]


def test_they_are_saved(two: Latent, tmp_path: Path) -> None:
    two.save(tmp_path / "two.pt")
    again = Latent.load(tmp_path / "two.pt")
    assert torch.equal(again.companion.windows, two.companion.windows)
    assert torch.equal(again.companion.styles, two.companion.styles)


def test_companions_end_with_the_canvas_they_belong_to(generator: Generator, two: Latent) -> None:
    assert generator.convert(two, "FNSW5") is two
    later = generator.convert(two, "FNSW6")
    assert later.companion is None
    cut = two.replace(companion=None)
    assert not {"companion", "places"} & cut.parts().keys()


def test_windows_that_do_not_fit_are_refused(
    generator: Generator, two: Latent, tmp_path: Path
) -> None:
    assert two.companion is not None
    assert two.companion.windows is not None
    styles, windows = two.companion.styles, two.companion.windows
    for wrong, reason in (
        (windows[:, :1], "companions are"),
        (windows + 0.5, "whole cells"),
        (windows - 21, "whole cells"),
    ):
        with pytest.raises(LatentError, match=reason):
            two.replace(companion=Companion(styles, wrong))
    for some, corners in (
        (styles[:, 0], windows),
        (styles[:, :1], windows),
        (styles[:, :0], windows[:, :0]),
    ):
        with pytest.raises(LatentError, match="companions are"):
            Companion(some, corners)
    moved = two.replace(companion=Companion(styles, windows + torch.tensor([4.0, 0.0])))
    with pytest.raises(LatentError, match="its window leaves fewer"):
        generator.check(moved)

    two.save(tmp_path / "two.pt")
    content = torch.load(tmp_path / "two.pt", weights_only=True)
    del content["tensors"]["companion"]
    torch.save(content, tmp_path / "two.pt")
    with pytest.raises(ModelFileError, match="places say where companions are"):
        Latent.load(tmp_path / "two.pt")
