"""`edit` is what the command does: a direction by name or file, its layers, a carrier and a mask."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import small_generator

from directions.direction import Direction
from edits.along import edit
from edits.apply import move
from edits.feature_edits import CARRIERS
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
    TILT.save(tmp_path / "tilt.safetensors")
    x = GENERATOR.sample(0, space="FNW5")
    expected = move(GENERATOR, x, TILT.offset(GENERATOR.num_ws, 2.0), carry="repaint")
    assert same(edit(GENERATOR, x, TILT, 2.0), expected)
    assert same(edit(GENERATOR, x, tmp_path / "tilt.safetensors", 2.0), expected)
    assert same(edit(GENERATOR, x, TILT, 2.0, carry=CARRIERS["repaint"]), expected)


def test_layers_mask_and_carrier_are_passed_on() -> None:
    x = GENERATOR.sample(0, space="FNW5")
    side = GENERATOR.resolution
    mask = torch.zeros(1, 1, side, side)
    mask[..., : side // 2] = 1
    offset = TILT.offset(GENERATOR.num_ws, -1.0, (2, 6))
    expected = move(GENERATOR, x, offset, carry="difference", mask=mask)
    assert same(
        edit(GENERATOR, x, TILT, -1.0, styles=(2, 6), carry="difference", mask=mask), expected
    )


def test_a_latent_without_a_companion_gets_one_unless_styles_alone_move() -> None:
    x = GENERATOR.sample(0, space="FNW5").replace(companion=None)
    assert same(
        edit(GENERATOR, x, TILT, 1.0), edit(GENERATOR, with_companion(GENERATOR, x), TILT, 1.0)
    )
    assert edit(GENERATOR, x, TILT, 1.0, carry="styles").companion is None


def test_what_cannot_be_is_refused() -> None:
    x = GENERATOR.sample(0)
    with pytest.raises(UsageError, match="did you mean smile"):
        edit(GENERATOR, x, "smlie", 1.0)
    with pytest.raises(FingerprintError, match="'smile' is 512 wide"):
        edit(GENERATOR, x, "smile", 1.0)
    with pytest.raises(UsageError, match="unknown carrier 'repiant'"):
        edit(GENERATOR, x, TILT, 1.0, carry="repiant")
