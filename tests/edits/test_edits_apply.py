"""An edit moves styles and features together, returns, chains, and stays inside its mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from networks import small_generator, small_mobile
from torch import Tensor

from edits.along_direction import move
from edits.feature_edits import Displacement, ResidualWarp
from invert.errors import FingerprintError, UsageError
from invert.generator import Generator
from invert.latents.latent import Latent

SPACES = ["W", "NW", "W+", "NW+", "SW+", "NSW+", "FW1", "FW5", "FNW5", "FNW4", "FSW5", "FNSW5"]


@pytest.fixture(scope="module", params=["stylegan2", "mobile"])
def generator(request: pytest.FixtureRequest) -> Generator:
    return (
        small_generator(dtype=torch.float64)
        if request.param == "stylegan2"
        else small_mobile(torch.float64)
    )


def offset(generator: Generator, seed: int = 0, size: float = 0.5) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return size * torch.randn(generator.num_ws, generator.w_dim, generator=g, dtype=torch.float64)


def box_mask(generator: Generator, left: float, right: float) -> Tensor:
    side = generator.resolution
    mask = torch.zeros(1, 1, side, side)
    mask[
        :, :, round(left * side) : round(right * side), round(left * side) : round(right * side)
    ] = 1
    return mask


def without_origin(x: Latent) -> Latent:
    return x if x.companion is None else x.replace(companion=x.companion.replace(origin=None))


def difference(a: Latent, b: Latent) -> float:
    """The largest difference of what two points of one space are, wherever their edits began."""
    assert a.space == b.space
    a, b = without_origin(a), without_origin(b)
    return max((s - t).abs().max().item() for s, t in zip(a.tensors(), b.tensors(), strict=True))


@pytest.mark.parametrize("space", SPACES)
def test_moving_there_and_back_returns(generator: Generator, space: str) -> None:
    x = generator.sample([0, 1], space=space)
    o = offset(generator)
    there = move(generator, x, o)
    assert (generator.render(there) - generator.render(x)).abs().max() > 0.01
    back = move(generator, there, -o)
    assert difference(back, generator.convert(x, back.space)) < 1e-12


@pytest.mark.parametrize("space", ["NW+", "NSW+", "FW5", "FNW5", "FNW4", "FSW3", "FNSW6"])
def test_the_companion_difference_is_the_edit_in_w_plus(generator: Generator, space: str) -> None:
    x, o = generator.sample([0, 1], space="W+"), offset(generator)
    expected = generator.render(move(generator, x, o))
    edited = move(generator, generator.convert(x, space), o)
    assert str(edited.space) == space
    assert (generator.render(edited) - expected).abs().max() < 1e-10


def test_edits_chain_to_their_sum(generator: Generator) -> None:
    x = generator.sample(3, space="FNW5")
    o, p = offset(generator, 1), offset(generator, 2)
    chained = move(generator, move(generator, x, o), p)
    assert difference(chained, move(generator, x, o + p)) < 1e-12
    assert [edit["edit"] for edit in chained.metadata["edits"]] == ["move", "move"]
    assert chained.metadata["made_by"] == "move"


def fitted(generator: Generator, space: str = "FNW5", seed: int | list[int] = 0) -> Latent:
    """A point that holds more than its companion, as projections do."""
    x = generator.sample(seed, space=space)
    g = torch.Generator().manual_seed(7)
    rest = {
        name: t + 0.5 * t.std() * torch.randn(t.shape, generator=g, dtype=t.dtype)
        for name, t in (("features", x.features), ("rgb", x.rgb))
        if t is not None
    }
    return x.replace(**rest)


@pytest.mark.parametrize("space", ["FW5", "FNW4", "FNSW5"])
@pytest.mark.parametrize("masked", [False, True])
def test_what_gives_way_comes_back(generator: Generator, space: str, masked: bool) -> None:
    x, o = fitted(generator, space, [0, 1]), offset(generator)
    mask = box_mask(generator, 0.25, 0.75) if masked else None
    there = move(generator, x, o, mask=mask)
    assert difference(there, move(generator, x, o, features="difference", mask=mask)) > 0.01
    assert (
        difference(move(generator, there, -o, mask=mask), generator.convert(x, there.space)) < 1e-10
    )
    assert there.companion is not None
    assert there.companion.origin is not None


def test_the_order_of_edits_does_not_matter(generator: Generator) -> None:
    x, o, p = fitted(generator), offset(generator, 1), offset(generator, 2)
    one = move(generator, move(generator, x, o), p)
    other = move(generator, move(generator, x, p), o)
    assert difference(one, other) < 1e-10
    assert difference(one, move(generator, x, o + p)) < 1e-10


def made(generator: Generator, companion: Tensor) -> Tensor:
    features = generator.convert(generator.latent(companion), "FW5").features
    assert features is not None
    return features


def shifted_right(t: Tensor, cells: int) -> Tensor:
    """The content moved to the right; what comes in is the border, drawn out."""
    return torch.cat([t[..., :1].expand(*t.shape[:-1], cells), t[..., :-cells]], -1)


@pytest.mark.parametrize("cells", [0, 1, 2])
def test_a_residual_moves_along_and_gives_way_by_what_else_changes(
    generator: Generator, cells: int
) -> None:
    class Planted(ResidualWarp):
        def optical_flow(self, path: Sequence[Tensor]) -> Tensor:
            displacement = path[0].new_zeros(1, 2, *path[0].shape[2:])
            # nothing moves at the origin
            displacement[:, 0] = 0 if torch.allclose(path[0], path[-1]) else cells
            return displacement

    def along(t: Tensor) -> Tensor:
        return shifted_right(t, cells) if cells else t

    x, o = fitted(generator), offset(generator)
    assert x.features is not None
    assert x.companion is not None
    before, after = made(generator, x.companion.styles), made(generator, x.companion.styles + o)
    moved = move(generator, x, o, features=Planted())
    assert moved.features is not None
    distance = (after - along(before)).square().mean(1, keepdim=True).sqrt()
    spread = before[0].flatten(1).var(1).mean().sqrt()
    share = 1 / (1 + (distance / spread / ResidualWarp().half_change) ** 4)
    assert share.amin() < 0.5  # or the test would show nothing
    assert torch.allclose(moved.features, after + share * along(x.features - before))
    if x.rgb is not None:
        assert moved.rgb is not None
        assert moved.rgb.shape[2] * 2 == x.features.shape[2]


def test_without_a_residual_its_warp_is_the_difference(generator: Generator) -> None:
    x, o = generator.sample(0, space="FNW5"), offset(generator)
    assert (
        difference(
            move(generator, x, o, features="residual"), move(generator, x, o, features="difference")
        )
        < 1e-12
    )


def test_a_batch_moves_like_its_points(generator: Generator) -> None:
    x, o = generator.sample([0, 1, 2], space="FNW5"), offset(generator)
    mask = box_mask(generator, 0.2, 0.8)
    one_by_one = Latent.cat([move(generator, x[k], o, mask=mask) for k in range(3)])
    assert difference(move(generator, x, o, mask=mask), one_by_one) < 1e-12


def test_w_stays_w_while_all_layers_move_alike(generator: Generator) -> None:
    x, o = generator.sample(0), offset(generator)
    assert str(move(generator, x, o[:1].expand_as(o)).space) == "W"
    assert str(move(generator, x, o).space) == "W+"
    z = generator.sample(0, space="Z")
    assert difference(move(generator, z, o), move(generator, x, o)) < 1e-12


def test_styles_only_leaves_the_features(generator: Generator) -> None:
    x, o = generator.sample(0, space="FNW5"), offset(generator)
    assert x.features is not None
    assert x.companion is not None
    edited = move(generator, x, o, features="keep")
    assert edited.features is not None
    assert edited.companion is not None
    assert torch.equal(edited.features, x.features)
    assert torch.allclose(edited.styles - x.styles, o[4:])
    # the companion still makes these features
    made = generator.convert(generator.latent(edited.companion.styles), "FW5").features
    assert made is not None
    assert (made - edited.features).abs().max() < 1e-12


def test_offsets_of_later_layers_need_no_companion(generator: Generator) -> None:
    x, o = generator.sample(0, space="FNW5").replace(companion=None), offset(generator)
    o[:4] = 0
    assert torch.equal(move(generator, x, o).features, x.features)


def test_any_object_that_displaces_carries(generator: Generator) -> None:
    @dataclass(frozen=True)
    class Raise:
        amount: float

        def displacement(
            self, generator: Generator, latent: Latent, offset: Tensor, weight: Tensor
        ) -> Displacement:
            assert latent.features is not None
            rgb = None if latent.rgb is None else torch.full_like(latent.rgb, self.amount)
            return Displacement(torch.full_like(latent.features, self.amount), rgb)

    x = generator.sample(0, space="FNW5").replace(companion=None)
    edited = move(generator, x, offset(generator), features=Raise(0.25))
    assert edited.features is not None
    assert (edited.features - x.features - 0.25).abs().max() < 1e-12


@pytest.mark.parametrize("space", ["W", "NW+", "FNW5", "FNSW5"])
def test_a_mask_returns_and_its_full_form_is_no_mask(generator: Generator, space: str) -> None:
    x, o = generator.sample(0, space=space), offset(generator)
    side = generator.resolution
    mask = box_mask(generator, 0.25, 0.75)
    back = move(generator, move(generator, x, o, mask=mask), -o, mask=mask)
    assert (generator.render(back) - generator.render(x)).abs().max() < 1e-10
    full = move(generator, x, o, mask=torch.ones(1, 1, side, side))
    assert (generator.render(full) - generator.render(move(generator, x, o))).abs().max() < 1e-10
    empty = move(generator, x, o, mask=torch.zeros(1, 1, side, side))
    assert difference(empty, generator.convert(x, empty.space)) == 0


def test_outside_the_mask_nothing_changes() -> None:
    generator = small_generator(256, dtype=torch.float64)
    x, o = generator.sample(0, space="FNW9"), offset(generator)
    mask = torch.zeros(1, 1, 256, 256)
    mask[:, :, :96, :96] = 1
    change = (
        (generator.render(move(generator, x, o, mask=mask)) - generator.render(x))
        .abs()
        .amax(dim=(0, 1))
    )
    # five convolutions from 64 cells on reach 4 + 2·4 px further, filters and the bilinear border
    # of style maps ≤ 12 px
    assert change[:64, :64].mean() > 0.05
    assert change[128:].max() < 1e-10
    assert change[:, 128:].max() < 1e-10


def test_masked_styles_are_maps_of_at_most_64_cells_a_side() -> None:
    generator = small_generator(256)
    x = generator.sample(0, space="FNW5")
    mask = torch.zeros(1, 1, 256, 256)
    mask[..., :100] = 1
    edited = move(generator, x, offset(generator).float(), mask=mask)
    assert str(edited.space) == "FNSW5"
    sides = [tuple(s.shape[2:]) for s in edited.style_list()]
    assert sides == [(min(layer.size, 64),) * 2 for layer in generator.network.layers[4:]]
    assert [
        tuple(s.shape[2:]) for s in move(generator, edited, offset(generator).float()).style_list()
    ] == sides


def test_a_wide_image_is_edited_under_a_mask_on_one_side_only() -> None:
    generator = small_generator(128, dtype=torch.float64)
    x = generator.sample(0, space="FNW5")
    assert x.rgb is not None
    assert x.noise is not None
    wide = x.replace(
        features=torch.cat([x.features, x.features], 3),
        rgb=torch.cat([x.rgb, x.rgb], 3),
        noise=tuple(torch.cat([n, n], 3) for n in x.noise),
        companion=None,
    )
    mask = torch.zeros(1, 1, 128, 256)
    mask[..., :64] = 1
    edited = move(generator, wide, offset(generator), features="keep", mask=mask)
    change = (generator.render(edited) - generator.render(wide)).abs().amax(dim=(0, 1, 2))
    assert change[:32].min() > 0.01
    assert change[160:].max() < 1e-10
    assert edited.style_list()[-1].shape[2:] == (64, 128)


def test_what_does_not_fit_is_refused_with_the_way_out(generator: Generator) -> None:
    x, o = generator.sample(0, space="FNW5"), offset(generator)
    side = generator.resolution
    with pytest.raises(UsageError, match="expected an offset"):
        move(generator, x, o[1:])
    with pytest.raises(UsageError, match="not finite"):
        move(generator, x, o * float("nan"))
    with pytest.raises(
        UsageError, match="unknown feature edit 'model'; known: residual, difference, keep"
    ):
        move(generator, x, o, features="model")
    with pytest.raises(
        UsageError, match=r"companion W\+ styles; .* where it finds a face; use features='keep'"
    ):
        move(generator, x.replace(companion=None), o)
    with pytest.raises(UsageError, match=r"expected a mask \[1, 1, H, W\]"):
        move(generator, x, o, mask=torch.ones(side, side))
    with pytest.raises(UsageError, match=f"the mask has 8×9 px, the image {side}×{side}"):
        move(generator, x, o, mask=torch.ones(1, 1, 9, 8))
    for bad in (float("nan"), 255.0, -0.1):
        with pytest.raises(UsageError, match="mask values"):
            move(generator, x, o, mask=torch.full((1, 1, side, side), bad))
    with pytest.raises(FingerprintError):
        move(generator, small_generator(seed=5).sample(0), o)
    wide = x.replace(
        features=torch.cat([x.features, x.features], 3),
        rgb=None if x.rgb is None else torch.cat([x.rgb, x.rgb], 3),
        noise=tuple(torch.cat([n, n], 3) for n in x.noise or ()),
    )
    with pytest.raises(
        UsageError,
        match=f"images of {side}×{side} px, got {2 * side}×{side}; use features='keep'",
    ):
        move(generator, wide, o)
