"""The log of edits says what was done, of what, and stays small; what others add to a file does not
break it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import small_generator
from shell import Shell, succeeded

from directions.direction import Direction, unit
from edits.along_direction import edit, move
from edits.attributes.flow import LinearFlow
from edits.attributes.model import AttributeModel
from edits.canvas import Placement, crop, place, shift
from edits.equalization import equalize
from edits.feature_edits import Displacement
from edits.log import MAX_EDITS, MAX_PLACEMENTS, describe_latent, record
from edits.mixer import mix
from edits.style_mixing import combine, frames, interpolate, resample, style_mix
from invert.errors import UsageError
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.layer_ranges import styles_inside


@pytest.fixture(scope="module")
def generator() -> Generator:
    return small_generator()


def point(generator: Generator, seed: int = 0, space: str = "FNW5") -> Latent:
    return generator.sample(seed, space=space)


def direction(seed: int = 0, name: str = "brighter") -> Direction:
    vector = unit(torch.randn(32, generator=torch.Generator().manual_seed(seed)))
    return Direction(name, vector, sigma=0.5, styles=(2, 8))


def left_half(generator: Generator) -> torch.Tensor:
    mask = torch.zeros(1, 1, generator.resolution, generator.resolution)
    mask[..., : generator.resolution // 2] = 1
    return mask


def entry(latent: Latent) -> dict[str, Any]:
    """The only edit in the log, which is JSON."""
    assert latent.metadata["edits"] == json.loads(
        json.dumps(latent.metadata["edits"], allow_nan=False)
    )
    (only,) = latent.metadata["edits"]
    assert latent.metadata["made_by"] == only["edit"]
    return only


def test_an_edit_tells_direction_strength_layers_and_the_way_features_follow(
    generator: Generator,
) -> None:
    d = direction()
    told = entry(edit(generator, point(generator), d, -3))
    assert told.pop("direction") == {
        "name": "brighter",
        "sha256": told_digest(d),
        "w_space": "",
        "step": 0.5,
    }
    assert told == {
        "edit": "move",
        "strength": -3.0,
        "unit": "standard deviations of W along the direction",
        "layers": [2, 8],
        "carry": {
            "name": "residual",
            "half_change": 0.7,
            "flow_steps": 4,
            "smoothness": 0.03,
            "damping": 0.03,
        },
    }


def told_digest(d: Direction) -> str:
    return entry_of(d)["direction"]["sha256"]


def entry_of(d: Direction) -> dict[str, Any]:
    small = small_generator()
    return entry(edit(small, point(small, space="W"), d, 1.0))


def test_directions_of_one_name_are_told_apart_by_their_vectors() -> None:
    assert told_digest(direction(0)) == told_digest(direction(0, "other"))
    assert told_digest(direction(0)) != told_digest(direction(1))


def test_layers_and_mask_of_an_edit_are_told(generator: Generator) -> None:
    mask = left_half(generator)
    told = entry(edit(generator, point(generator), direction(), 1.0, styles=(0, 3), mask=mask))
    assert told["layers"] == [0, 3]
    assert told["mask"].pop("sha256") != entry_mask(generator, 1 - mask)["sha256"]
    assert told["mask"] == {"size": [64, 64], "covered": 0.5}


def entry_mask(generator: Generator, mask: torch.Tensor) -> dict[str, Any]:
    return entry(edit(generator, point(generator), direction(), 1.0, mask=mask))["mask"]


def test_an_edit_under_an_empty_mask_is_told_too(generator: Generator) -> None:
    assert entry_mask(generator, torch.zeros(1, 1, 64, 64))["covered"] == 0


def test_where_there_are_no_features_nothing_is_said_of_them(generator: Generator) -> None:
    assert "carry" not in entry(edit(generator, point(generator, space="W+"), direction(), 1.0))


def test_an_offset_without_a_direction_is_told_by_digest_norm_and_layers(
    generator: Generator,
) -> None:
    offset = torch.zeros(generator.num_ws, generator.w_dim)
    offset[3:5] = 1.0
    told = entry(move(generator, point(generator), offset, features="keep"))
    assert told["layers"] == [3, 5]
    assert told["offset"]["norm"] == pytest.approx(8.0)
    assert told["carry"] == {"name": "keep"}
    other = entry(move(generator, point(generator), 2 * offset, features="keep"))
    assert other["offset"]["sha256"] != told["offset"]["sha256"]
    assert entry(move(generator, point(generator), 0 * offset))["layers"] == [0, 0]


def test_a_feature_edit_of_ones_own_is_told_by_its_class(generator: Generator) -> None:
    @dataclass(frozen=True)
    class Doubling:
        factor: float = 2.0

        def displacement(
            self, generator: Generator, latent: Latent, *_: torch.Tensor
        ) -> Displacement:
            return Displacement(latent.features, None)

    told = entry(edit(generator, point(generator), direction(), 1.0, features=Doubling()))
    assert told["carry"] == {"name": "Doubling", "factor": 2.0}


def test_attribute_models_are_told_apart_by_their_weights(generator: Generator) -> None:
    x, d = point(generator), direction()
    inside = d.offset(generator.num_ws, 1.0)[: styles_inside(generator.network, x.space)]

    def told(scale: float) -> dict[str, Any]:
        flow = LinearFlow(torch.eye(32, 4), scale * torch.ones(7, 7, 1, 1), 1.0)
        model = AttributeModel("brighter", 5, generator.fingerprint, inside, flow, 5.0)
        return entry(edit(generator, x, d, 1.0, features=model))["carry"]

    assert told(0.01)["name"] == "AttributeModel"
    assert told(0.01)["direction"] == "brighter"
    assert told(0.01) == told(0.01)
    assert told(0.01)["sha256"] != told(0.02)["sha256"]


def test_a_sum_tells_its_terms_and_their_signs(generator: Generator) -> None:
    a, b, c = (point(generator, seed) for seed in range(3))
    told = entry(combine(generator, a, b, c))
    assert told == {"edit": "combine", "plus": describe_latent(b), "minus": describe_latent(c)}
    assert entry(combine(generator, a, c, b)) == {
        "edit": "combine",
        "plus": describe_latent(c),
        "minus": describe_latent(b),
    }


def test_another_latent_is_told_by_space_digest_and_photograph(
    generator: Generator, tmp_path: Path
) -> None:
    b = point(generator).replace(metadata={"image": {"file": "b.png"}})
    b.save(tmp_path / "b.pt")
    b.save(tmp_path / "b.safetensors")
    facts = describe_latent(b)
    assert (facts["space"], facts["image"], len(facts["sha256"])) == ("FNW5", "b.png", 16)
    assert (
        facts
        == describe_latent(Latent.load(tmp_path / "b.pt"))
        == describe_latent(Latent.load(tmp_path / "b.safetensors"))
    )
    assert facts["sha256"] != describe_latent(point(generator, 1))["sha256"]
    assert "image" not in describe_latent(b.replace(metadata={"image": 5}))


@pytest.mark.parametrize(
    ("edited", "facts"),
    [
        (
            lambda g, a, b: style_mix(g, a, b, (5, 8)),
            {"edit": "style_mix", "layers": [5, 8], "from": "b"},
        ),
        (lambda g, a, b: interpolate(g, a, b, 0.25), {"edit": "interpolate", "t": 0.25, "to": "b"}),
        (lambda g, a, b: list(frames(g, a, b, 3))[1], {"edit": "interpolate", "t": 0.5, "to": "b"}),
        (
            lambda g, a, b: resample(g, a, (5, 8), 7, psi=0.5),
            {"edit": "resample", "layers": [5, 8], "seed": 7, "psi": 0.5},
        ),
        (
            lambda g, a, b: equalize(g, a, 0.5, ["rgb"]),
            {"edit": "equalize", "amount": 0.5, "parts": ["rgb"]},
        ),
        (lambda g, a, b: crop(a, (0, 0, 8, 8)), {"edit": "crop", "box": [0, 0, 8, 8]}),
        (lambda g, a, b: shift(a, (2, -2)), {"edit": "shift", "cells": [2, -2]}),
    ],
    ids=["style_mix", "interpolate", "frames", "resample", "equalize", "crop", "shift"],
)
def test_other_edits_tell_their_arguments(
    edited: Callable[[Generator, Latent, Latent], Latent],
    facts: dict[str, Any],
    generator: Generator,
) -> None:
    a, b = point(generator), point(generator, 1)
    expected = {
        name: describe_latent(b) if value == "b" else value for name, value in facts.items()
    }
    assert entry(edited(generator, a, b)) == expected


def test_a_mixture_tells_the_other_the_mask_and_the_amounts(generator: Generator) -> None:
    a, b = point(generator), point(generator, 1)
    told = entry(mix(generator, a, b, left_half(generator), keep_styles=2, shift=(2, 0), feather=4))
    assert told.pop("mask") == entry_mask(generator, left_half(generator))
    amounts = {"keep_styles": 2, "shift": [2, 0], "feather": 4.0}
    assert told == {"edit": "mix", "with": describe_latent(b), **amounts}


def test_a_canvas_tells_what_was_laid_where(generator: Generator) -> None:
    a, b = point(generator), point(generator, 1)
    told = entry(
        place(generator, (24, 16), [Placement(a), Placement(b, (8, 0), (0, 0, 16, 8))], feather=3.0)
    )
    assert told == {
        "edit": "place",
        "canvas": [24, 16],
        "latents": 2,
        "placements": [
            {"at": [0, 0], "crop": None, **describe_latent(a)},
            {"at": [8, 0], "crop": [0, 0, 16, 8], **describe_latent(b)},
        ],
        "feather": 3.0,
    }


def test_a_chain_of_edits_is_told_in_order(generator: Generator) -> None:
    x = edit(generator, point(generator), direction(), 2.0)
    x = combine(generator, x, point(generator, 1), point(generator, 2))
    x = crop(equalize(generator, x, 0.5), (0, 0, 8, 8))
    assert [told["edit"] for told in x.metadata["edits"]] == ["move", "combine", "equalize", "crop"]
    assert x.metadata["made_by"] == "crop"
    assert "earlier_edits" not in x.metadata


def test_a_long_log_keeps_its_end_and_counts_the_rest(generator: Generator) -> None:
    x = point(generator, space="W")
    for k in range(MAX_EDITS + 3):
        x = record(x, "step", {"k": k})
    assert [told["k"] for told in x.metadata["edits"]] == list(range(3, MAX_EDITS + 3))
    assert x.metadata["earlier_edits"] == 3


def test_an_entry_stays_small_whatever_it_is_of(generator: Generator) -> None:
    long = point(generator, space="FW5").replace(metadata={"image": {"file": "x" * 10**6}})
    many = [Placement(long)] * (MAX_PLACEMENTS + 1)
    told = entry(place(generator, (16, 16), many))
    assert told["latents"] == MAX_PLACEMENTS + 1
    assert len(told["placements"]) == MAX_PLACEMENTS
    assert len(json.dumps(told)) < 10_000


@pytest.mark.parametrize("found", ["text", 5, {"edit": "move"}, None])
def test_a_log_that_is_none_is_begun_anew(generator: Generator, found: object) -> None:
    x = point(generator, space="W").replace(metadata={"edits": found, "earlier_edits": "many"})
    assert record(x, "crop").metadata == {"edits": [{"edit": "crop"}], "made_by": "crop"}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_info_shows_what_was_done(run: Shell, generator: Generator, suffix: str) -> None:
    edited = edit(generator, point(generator, space="W+"), direction(), -3.0)
    edited.save(f"edited{suffix}")
    told = json.loads(succeeded(run("info", f"edited{suffix}", "--json")))["edits"]
    assert told == edited.metadata["edits"]
    plain = succeeded(run("info", f"edited{suffix}"))
    assert "brighter" in plain
    assert "-3.0" in plain


TWO = np.array([2, 2])
EDITS: dict[str, Callable[[Generator, Latent, Latent], Latent]] = {
    "shift": lambda g, a, b: shift(a, TWO),
    "crop": lambda g, a, b: crop(a, np.array([0, 0, 4, 4])),
    "place": lambda g, a, b: place(
        g,
        torch.tensor([16, 8]),
        [Placement(a), Placement(b, (np.int64(8), 0), np.array([0, 0, 4, 4]))],
        feather=np.float32(4),
    ),
    "mix": lambda g, a, b: mix(
        g, a, b, HALF, keep_styles=np.int64(2), shift=TWO, feather=torch.tensor(4)
    ),
    "style_mix": lambda g, a, b: style_mix(g, a, b, (np.int64(6), np.int64(9))),
    "edit": lambda g, a, b: edit(
        g, a, direction(), np.float32(1), styles=np.array([0, 9]), features="difference"
    ),
    "resample": lambda g, a, b: resample(
        g, a, (np.int64(6), np.int64(9)), np.int64(3), psi=np.float32(0.5)
    ),
    "interpolate": lambda g, a, b: interpolate(g, a, b, torch.tensor(0.5)),
    "equalize": lambda g, a, b: equalize(g, a, np.float32(0.5), "styles"),
}
HALF = torch.cat([torch.zeros(1, 1, 32, 64), torch.ones(1, 1, 32, 64)], 2)


@pytest.mark.parametrize("name", list(EDITS))
def test_numbers_of_numpy_and_torch_are_told_as_numbers(
    name: str, generator: Generator, tmp_path: Path
) -> None:
    result = EDITS[name](generator, point(generator, 0), point(generator, 1))
    json.dumps(result.metadata)
    result.save(tmp_path / "x.pt")
    assert Latent.load(tmp_path / "x.pt").metadata["edits"] == result.metadata["edits"]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda a: shift(a, (2.5, 2)), r"shift: expected \(dx, dy\) in whole numbers, got \(2.5"),
        (lambda a: crop(a, (0, 0, 4)), r"box: expected \(x, y, width, height\) in whole numbers"),
        (lambda a: Placement(a, "ab"), r"at: expected \(x, y\) in whole numbers, got 'ab'"),
    ],
)
def test_what_is_no_place_is_refused(
    call: Callable[[Latent], object], reason: str, generator: Generator
) -> None:
    with pytest.raises(UsageError, match=reason):
        call(point(generator))
