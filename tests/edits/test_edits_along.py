"""`edit` is what the command does: direction by name or file, styles, feature edit and mask."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import small_generator, small_map_generator

from directions.direction import Direction
from directions.direction_files import save_direction
from edits import feature_edits
from edits.along_direction import EditStep, chain, edit, move, sweep
from edits.feature_edit_names import FEATURE_EDITS
from invert.errors import FingerprintError, UsageError
from invert.latents.latent import Latent
from invert.projection.companion import with_companion

GENERATOR = small_generator()
VECTOR = torch.randn(GENERATOR.w_dim, generator=torch.Generator().manual_seed(0))
TILT = Direction("tilt", VECTOR / VECTOR.norm(), sigma=1.0, meaning="more of something")


def same(a: Latent, b: Latent) -> bool:
    pairs = zip(a.tensors(), b.tensors(), strict=True)
    return a.space == b.space and all(torch.equal(s, t) for s, t in pairs)


def test_a_direction_moves_by_name_of_its_file_or_as_it_is(tmp_path: Path) -> None:
    save_direction(TILT, tmp_path / "tilt.safetensors")
    x = GENERATOR.sample(0, space="FNW5")
    expected = move(GENERATOR, x, TILT.offset(GENERATOR.num_ws, 2.0), features="residual")
    assert same(edit(GENERATOR, x, TILT, 2.0), expected)
    assert same(edit(GENERATOR, x, tmp_path / "tilt.safetensors", 2.0), expected)
    assert same(edit(GENERATOR, x, TILT, 2.0, features=FEATURE_EDITS["residual"]), expected)


def test_layers_mask_and_carrier_are_passed_on() -> None:
    x = GENERATOR.sample(0, space="FNW5")
    side = GENERATOR.resolution
    mask = torch.zeros(1, 1, side, side)
    mask[..., : side // 2] = 1
    offset = TILT.offset(GENERATOR.num_ws, -1.0, (2, 6))
    expected = move(GENERATOR, x, offset, features="difference", mask=mask)
    assert same(
        edit(GENERATOR, x, TILT, -1.0, styles=(2, 6), features="difference", mask=mask), expected
    )


def test_a_latent_without_a_companion_gets_one_unless_styles_alone_move() -> None:
    x = GENERATOR.sample(0, space="FNW5").replace(companion=None)
    assert same(
        edit(GENERATOR, x, TILT, 1.0), edit(GENERATOR, with_companion(GENERATOR, x), TILT, 1.0)
    )
    assert edit(GENERATOR, x, TILT, 1.0, features="keep").companion is None


def test_gradients_pass_an_edit_with_a_companion_and_one_that_makes_it() -> None:
    bare = GENERATOR.sample(0, space="FNW3").replace(companion=None)
    companion = with_companion(GENERATOR, bare).companion
    with_one = bare.replace(companion=companion)

    gradients = []
    for x in (bare, with_one):
        leaves = bare.map(lambda t: t.clone().requires_grad_())
        edited = edit(GENERATOR, leaves.replace(companion=x.companion), TILT, 1.0)
        assert edited.companion is not None
        assert not edited.companion.styles.requires_grad  # a constant
        GENERATOR.render(edited).square().mean().backward()
        assert all(t.grad is not None for t in leaves.tensors())
        gradients.append([t.grad for t in leaves.tensors() if t.grad is not None])
    for a, b in zip(*gradients, strict=True):
        assert torch.equal(a, b)
        assert a.any()


@pytest.mark.parametrize("name", ["residual", "difference"])
def test_a_feature_edit_as_an_object_makes_the_companion_that_its_name_makes(name: str) -> None:
    x = GENERATOR.sample(0, space="FNW5").replace(companion=None)
    by_name = edit(GENERATOR, x, TILT, 1.0, features=name)
    assert by_name.companion is not None
    assert same(edit(GENERATOR, x, TILT, 1.0, features=FEATURE_EDITS[name]), by_name)


def test_no_companion_is_looked_for_where_f_stays_or_a_step_is_refused() -> None:
    x = GENERATOR.sample(0, space="FNW5").replace(companion=None)
    heard: list[EditStep] = []
    assert edit(GENERATOR, x, TILT, 1.0, styles=(6, 8), callback=heard.append).companion is None
    assert [(step.stage, step.features) for step in heard] == [("features", "keep")]

    heard.clear()
    with pytest.raises(UsageError, match="strength is nan"):
        chain(GENERATOR, x, [(TILT, 1.0), (TILT, float("nan"))], callback=heard.append)
    with pytest.raises(UsageError, match=r"strength is 1000\.0"):
        list(sweep(GENERATOR, x, TILT, [1.0, 1000.0], callback=heard.append))
    assert heard == []


def test_styles_that_have_no_effect_are_refused() -> None:
    x = GENERATOR.sample(0, space="FNW5")
    with pytest.raises(UsageError, match="styles 0 to 2 have no effect in FNW5 where F_5 stays"):
        edit(GENERATOR, x, TILT, 1.0, styles=(0, 3), features="keep")
    assert edit(GENERATOR, x, TILT, 0.0, styles=(0, 3), features="keep").space == x.space

    drawn = small_map_generator()
    with pytest.raises(UsageError, match=r"styles 0 to 1 have no effect: .* starts at layer 3"):
        edit(drawn, drawn.sample(0), TILT, 1.0, styles=(0, 2))


def test_what_cannot_be_is_refused() -> None:
    x = GENERATOR.sample(0)
    with pytest.raises(UsageError, match="did you mean smile"):
        edit(GENERATOR, x, "smlie", 1.0)
    with pytest.raises(FingerprintError, match="'smile' is 512 wide"):
        edit(GENERATOR, x, "smile", 1.0)
    with pytest.raises(UsageError, match="unknown feature edit 'repiant'"):
        edit(GENERATOR, x, TILT, 1.0, features="repiant")


def test_old_names_of_feature_edits_work_with_a_warning() -> None:
    x = GENERATOR.sample(0, space="FNW5")
    with pytest.warns(DeprecationWarning, match="'repaint' is called 'residual' now"):
        old = edit(GENERATOR, x, TILT, 2.0, features="repaint")
    assert same(old, edit(GENERATOR, x, TILT, 2.0, features="residual"))
    with pytest.warns(DeprecationWarning, match="carry= is called features= now"):
        assert edit(GENERATOR, x, TILT, 2.0, carry="keep").companion is not None
    with pytest.warns(DeprecationWarning, match="'styles' is called 'keep' now"):
        move(GENERATOR, x, TILT.offset(GENERATOR.num_ws, 2.0), features="styles")


def test_a_sweep_is_one_edit_per_strength() -> None:
    x = GENERATOR.sample(0, space="FNW5")
    swept = list(sweep(GENERATOR, x, TILT, [-1.0, 2.0]))
    assert len(swept) == 2
    for latent, strength in zip(swept, (-1.0, 2.0), strict=True):
        assert same(latent, edit(GENERATOR, x, TILT, strength))


def test_a_callback_hears_of_the_companion_and_of_the_feature_edit() -> None:
    heard: list[EditStep] = []
    x = GENERATOR.sample(0, space="FNW5")
    edit(GENERATOR, x, TILT, 1.0, callback=heard.append)
    assert [(step.stage, step.features) for step in heard] == [("features", "residual")]
    heard.clear()
    edit(GENERATOR, x.replace(companion=None), TILT, 1.0, callback=heard.append)
    assert [step.stage for step in heard] == ["companion", "features"]
    heard.clear()
    edit(GENERATOR, GENERATOR.sample(0), TILT, 1.0, callback=heard.append)
    assert heard == []


def test_what_is_no_strength_and_no_feature_edit_is_refused_with_a_sentence() -> None:
    x = GENERATOR.sample(0, space="FNW5")
    with pytest.raises(UsageError, match=r"strength is tensor\(\[1., 2.\]\) σ, expected a number"):
        edit(GENERATOR, x, TILT, torch.tensor([1.0, 2.0]))
    for call in (
        lambda features: edit(GENERATOR, x, TILT, 1.0, features=features),
        lambda features: move(GENERATOR, x, TILT.offset(GENERATOR.num_ws, 1.0), features=features),
    ):
        with pytest.raises(UsageError, match=r"got the class KeepFeatures; KeepFeatures\(\) makes"):
            call(feature_edits.KeepFeatures)
        with pytest.raises(UsageError, match="expected a feature edit, got 3"):
            call(3)


def test_the_package_names_its_edits() -> None:
    import edits
    from edits.equalization import equalize

    assert edits.edit is edit
    assert edits.equalize is equalize
    assert sorted(edits.__all__) == sorted(edits.HOMES)
    assert all(callable(getattr(edits, name)) for name in edits.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = edits.nothing


def test_a_chain_and_a_sweep_are_single_edits_bit_for_bit() -> None:
    x = GENERATOR.sample(0, space="FNW5")
    x = x.replace(features=x.features + 0.1)  # a residual, which is warped
    turn = Direction("turn", VECTOR.flip(0) / VECTOR.norm(), sigma=1.0)
    alone = edit(GENERATOR, edit(GENERATOR, edit(GENERATOR, x, TILT, 2.0), turn, -1.0), TILT, 0.5)
    together = chain(GENERATOR, x, [(TILT, 2.0), (turn, -1.0), (TILT, 0.5)])
    assert same(together, alone)
    assert together.metadata == alone.metadata
    for strength, result in zip(
        (-2.0, 0.0, 2.0), sweep(GENERATOR, x, TILT, [-2.0, 0.0, 2.0]), strict=True
    ):
        assert same(result, edit(GENERATOR, x, TILT, strength))


def test_the_companions_motion_to_a_point_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x = GENERATOR.sample(0, space="FNW5")
    flows: list[int] = []
    flow = feature_edits.optical_flow
    monkeypatch.setattr(
        feature_edits, "optical_flow", lambda *given: flows.append(1) or flow(*given)
    )

    list(sweep(GENERATOR, x, TILT, [-2.0, -1.0, 1.0, 2.0]))
    assert len(flows) == 1 + 4  # the start, and each strength
    flows.clear()
    chain(GENERATOR, x, [(TILT, 2.0), (TILT, -1.0), (TILT, 0.5)])
    assert len(flows) == 1 + 3
