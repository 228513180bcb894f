"""A direction moves a latent by what it says, survives files bit for bit, and its files are not
trusted.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import small_generator, small_mobile
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cosine_similarity

from directions.catalog import available, find, scores
from directions.diagnostics import measure
from directions.direction import Direction, root_mean_square_norm, unit
from directions.direction_files import load_direction, save_direction
from directions.w_space import WSpace, w_space_name
from invert.errors import FingerprintError, InvertError, ModelFileError, UsageError

GENERATOR = small_generator()
NUM_WS, W_DIM = GENERATOR.num_ws, GENERATOR.w_dim


def vector(seed: int = 0, rows: int | None = None, w_dim: int = W_DIM) -> Tensor:
    shape = (w_dim,) if rows is None else (rows, w_dim)
    return unit(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


def direction(rows: int | None = None, **changes: Any) -> Direction:
    fields: dict[str, Any] = {
        "name": "smile",
        "vectors": vector(rows=rows),
        "sigma": 0.7,
        "meaning": "smiling",
        "w_space": "mapping-0123",
        "source": {"method": "test", "against": ["a"]},
        "measured": {"R2": 0.5},
    }
    return Direction(**fields | changes)


# -- algebra


@pytest.mark.parametrize("rows", [None, NUM_WS])
def test_plus_then_minus_returns(rows: int | None) -> None:
    d = direction(rows)
    assert torch.equal(d.offset(NUM_WS, 2.5) + d.offset(NUM_WS, -2.5), torch.zeros(NUM_WS, W_DIM))
    torch.testing.assert_close(d.offset(NUM_WS, 3), 3 * d.offset(NUM_WS, 1))
    assert not d.offset(NUM_WS, 0).any()


@pytest.mark.parametrize("rows", [None, NUM_WS])
def test_one_step_moves_the_average_layer_by_one_step(rows: int | None) -> None:
    assert math.isclose(root_mean_square_norm(direction(rows).offset(NUM_WS, 1)), 0.7, rel_tol=1e-6)


def test_equal_rows_are_the_direction_of_one_vector() -> None:
    one = direction()
    many = direction(vectors=one.vectors.expand(NUM_WS, -1).clone())
    assert torch.equal(one.offset(NUM_WS, 2), many.offset(NUM_WS, 2))
    space = WSpace.from_generator(GENERATOR, 500)
    assert math.isclose(space.std_along(one.vectors), space.std_along(many.vectors), rel_tol=1e-5)


@pytest.mark.parametrize("rows", [None, NUM_WS])
def test_a_range_of_styles_moves_those_styles_and_no_other(rows: int | None) -> None:
    everywhere = direction(rows).offset(NUM_WS, 2)
    for d, given in (
        (direction(rows, styles=(2, 5)), None),
        (direction(rows, styles=(0, 3)), (2, 5)),
    ):
        part = d.offset(NUM_WS, 2, given)
        assert torch.equal(part[2:5], everywhere[2:5])
        assert not part[:2].any()
        assert not part[5:].any()


def test_sigma_is_the_standard_deviation_of_w() -> None:
    d = direction(sigma=WSpace.from_generator(GENERATOR).std_along(vector()))
    along = GENERATOR.sample(range(3000)).styles @ d.vectors / d.sigma
    assert math.isclose(along.std().item(), 1, rel_tol=0.05)


def test_offsets_that_make_no_sense_are_refused() -> None:
    d = direction()
    for strength in (math.nan, math.inf, 1e9, -100.1):
        with pytest.raises(UsageError, match=r"strength is .* expected a number within ±100"):
            d.offset(NUM_WS, strength)
    for styles in ((3, 3), (4, 2), (-1, 2), (0, NUM_WS + 1)):
        with pytest.raises(UsageError, match="expected a range within 0 to 9, both included"):
            d.offset(NUM_WS, 1, styles)
    with pytest.raises(
        UsageError, match=r"has 10 styles, the generator 8; .* give a range within the first 8"
    ):
        direction(NUM_WS).offset(8, 1)
    assert direction(NUM_WS).offset(8, 1, (0, 8)).shape == (8, W_DIM)
    with pytest.raises(UsageError, match="within 0 to 9"):
        direction(NUM_WS).offset(16, 1, (0, 11))


# -- construction and files


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"name": "../smile"}, "is no name for a direction"),
    ({"name": ""}, "is no name"),
    ({"vectors": torch.zeros(W_DIM)}, "is zero, expected 1"),
    ({"vectors": torch.full((W_DIM,), math.nan)}, "NaN or infinity"),
    ({"vectors": 2 * vector()}, "has norm 2 per layer, expected 1"),
    ({"vectors": torch.ones(W_DIM, dtype=torch.int64)}, "needs float vectors"),
    (
        {"vectors": torch.ones(2, 2, 2)},
        r"needs float vectors \[w_dim\] or \[num_ws, w_dim\], got \[2, 2, 2\]",
    ),
    ({"vectors": torch.ones(0)}, "needs float vectors"),
    ({"sigma": 0.0}, "has sigma 0.0, expected a positive number"),
    ({"sigma": math.nan}, "has sigma nan"),
    ({"styles": (3, 3)}, r"has styles \(3, 3\), expected 0 <= first < stop"),
    ({"vectors": vector(rows=4), "styles": (0, 5)}, "has 4 styles, its range ends with style 4"),
    ({"source": {"x": math.nan}}, "source is not JSON"),
    ({"measured": {"x": object()}}, "measured is not JSON"),
    ({"name": 3}, "name is a text, got 3"),
    ({"meaning": None}, "meaning is a text, got None"),
    ({"w_space": None}, "w_space is a text, got None"),
    ({"sigma": "1"}, "has sigma '1', expected a positive number"),
    ({"styles": (0, 1.5)}, r"styles: expected \(first, stop\) in whole numbers"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_FIELDS)
def test_a_direction_is_checked_on_construction(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        direction(**changes)


def test_unit_scales_and_refuses_what_has_no_direction() -> None:
    assert math.isclose(unit(torch.tensor([3.0, 4.0])).norm().item(), 1, rel_tol=1e-6)
    assert math.isclose(unit(torch.ones(4, 9) * 5).norm().item(), 2, rel_tol=1e-6)
    with pytest.raises(UsageError, match="must not be zero"):
        unit(torch.zeros(3))
    with pytest.raises(UsageError, match="NaN or infinity"):
        unit(torch.tensor([1.0, math.inf]))
    with pytest.raises(UsageError, match="expected a vector"):
        unit(torch.ones(1, 2, 3))


@pytest.mark.parametrize("rows", [None, NUM_WS])
@pytest.mark.parametrize("styles", [None, (0, 6)])
def test_a_saved_direction_loads_bit_for_bit(
    rows: int | None, styles: tuple[int, int] | None, tmp_path: Path
) -> None:
    a = direction(rows, styles=styles)
    save_direction(a, tmp_path / "a.safetensors")
    b = load_direction(tmp_path / "a.safetensors")
    assert torch.equal(a.vectors, b.vectors)
    for name in ("name", "sigma", "meaning", "w_space", "styles", "source", "measured"):
        assert getattr(a, name) == getattr(b, name)
    first = (tmp_path / "a.safetensors").read_bytes()
    save_direction(b, tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == first


def header(**changes: Any) -> dict[str, str]:
    content = {
        "format": "invert-direction",
        "version": 1,
        "name": "x",
        "step": 1.0,
        "meaning": "",
        "w_space": "",
        "layers": None,
        "source": {},
        "measured": {},
    }
    return {"invert": json.dumps(content | changes)}


BAD_FILES: list[tuple[dict[str, Tensor], dict[str, str] | None, str]] = [
    ({"vectors": torch.zeros(8)}, header(), "is zero, expected 1; the file is damaged"),
    ({"vectors": torch.full((8,), math.nan)}, header(), "has NaN or infinity"),
    ({"vectors": torch.ones(8)}, header(), "has norm 2.828 per layer"),
    ({"vectors": torch.ones(8, dtype=torch.int32)}, header(), "needs float vectors"),
    ({"other": vector()}, header(), r"expected one tensor 'vectors', found \['other'\]"),
    ({"vectors": vector()}, header(version=2), "direction format 2, expected 1; update invert"),
    ({"vectors": vector()}, header(step=None), "a field is missing or of the wrong type"),
    ({"vectors": vector()}, header(step=-1), "has sigma -1"),
    ({"vectors": vector()}, header(layers=[1]), "a field is missing or of the wrong type"),
    ({"vectors": vector()}, header(layers=[5, 2]), r"has styles \(5, 2\)"),
    ({"vectors": vector()}, header(name="a/b"), "is no name"),
    ({"vectors": vector()}, header(source=[]), "a field is missing or of the wrong type"),
    ({"vectors": vector()}, header(format="invert-latent"), "not a direction of invert"),
    ({"vectors": vector()}, {"invert": "not json"}, "its header is not JSON"),
    ({"vectors": vector()}, None, "not a direction of invert .* `invert directions import`"),
]


@pytest.mark.parametrize(("tensors", "metadata", "message"), BAD_FILES)
def test_a_bad_file_is_refused_by_name(
    tensors: dict[str, Tensor], metadata: dict[str, str] | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    save_file(tensors, path, metadata)
    with pytest.raises(ModelFileError, match=message) as caught:
        load_direction(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_every_truncation_of_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_direction(direction(), path)
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelFileError):
            load_direction(path)


def test_files_that_cannot_be_or_are_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such file"):
        load_direction(tmp_path / "missing.safetensors")
    big = tmp_path / "big.safetensors"
    with big.open("wb") as f:
        f.truncate(17 << 20)
    with pytest.raises(ModelFileError, match="17825792 bytes, a direction has at most"):
        load_direction(big)
    with pytest.raises(UsageError, match=r"are written as \.safetensors"):
        save_direction(direction(), tmp_path / "x.npy")
    with pytest.raises(InvertError, match="cannot be written"):
        save_direction(direction(), tmp_path / "no folder" / "x.safetensors")


# -- W spaces


def test_a_w_space_is_that_of_the_mapping_network_alone() -> None:
    assert w_space_name(GENERATOR) == w_space_name(small_generator())
    assert w_space_name(GENERATOR) != w_space_name(small_generator(seed=1))
    other_synthesis = small_generator(32)
    other_synthesis.network.mapping.load_state_dict(GENERATOR.network.mapping.state_dict())
    assert w_space_name(other_synthesis) == w_space_name(GENERATOR)
    assert w_space_name(small_generator(c_dim=3)).startswith("mapping-")


def test_a_direction_of_another_generator_is_refused() -> None:
    direction(w_space=w_space_name(GENERATOR)).check_generator(GENERATOR)
    direction(w_space="").check_generator(GENERATOR)
    with pytest.raises(
        FingerprintError, match="belongs to W space mapping-0123, small has mapping-"
    ):
        direction().check_generator(GENERATOR)
    with pytest.raises(FingerprintError, match="is 512 wide, expected w_dim 32 of small-mobile"):
        find("smile").check_generator(small_mobile())
    with pytest.raises(UsageError, match="at least two samples"):
        WSpace("x", torch.zeros(1, 4))


# -- the catalogue

WANTED = {
    *(
        "smile",
        "age",
        "gender",
        "glasses",
        "yaw",
        "pitch",
        "eyes-open",
        "mouth-open",
        "hair-dark",
        "light-from-left",
    ),
}


def test_the_catalogue_is_complete_and_of_the_ffhq_w_space() -> None:
    assert set(available()) >= WANTED
    for name in available():
        d = find(name)
        assert d.name == name
        assert d.vectors.shape == (512,)
        assert d.vectors.dtype == torch.float32
        assert math.isclose(d.vectors.norm().item(), 1, abs_tol=1e-6)
        assert d.w_space == "ffhq"
        assert d.meaning
        assert d.source["method"]
        assert d.offset(16, 1).shape == (16, 512)
        assert d.offset(18, 1).shape == (18, 512)


@pytest.mark.parametrize("name", sorted(WANTED))
def test_a_catalogue_entry_does_what_it_is_called(name: str) -> None:
    d = find(name)
    leakage = d.measured["leakage"]  # into linear scores
    assert set(leakage) >= WANTED
    assert leakage[name] == max(leakage.values(), key=abs)
    assert leakage[name] > 0.5
    effects = d.measured["effects"]  # of nets on rendered faces
    changes = {a: v for a, v in effects.items() if a in WANTED}
    if name in changes:
        assert changes[name] == max(changes.values(), key=abs)
        assert changes[name] > 0.2
    assert effects["faces"] >= 20
    assert 0 < effects["identity_distance_2_steps"] < 0.65  # 0.6 is the usual border between people


def test_the_stored_leakage_is_that_of_the_stored_vectors() -> None:
    space = WSpace("ffhq", torch.randn(50, 512, generator=torch.Generator().manual_seed(0)))
    for d in map(find, available()):
        assert d.measured["leakage"] == pytest.approx(measure(d, space, scores()).leakage, abs=1e-3)


def test_every_entry_has_its_linear_score() -> None:
    assert [s.name for s in scores()] == available()
    for score in scores():
        assert cosine_similarity(score.vectors, find(score.name).vectors, dim=0) > 0.5
        assert "orthogonal_to" not in score.source
        for other in find(score.name).source.get("orthogonal_to", []):
            against = next(s for s in scores() if s.name == other)
            assert abs(float(against.vectors @ find(score.name).vectors)) < 1e-5
    with pytest.raises(UsageError, match="unknown direction 'score-smile'"):
        find("score-smile")


def test_a_direction_is_found_by_name_or_path(tmp_path: Path) -> None:
    assert torch.equal(find("smile").vectors, find("smile").vectors)
    save_direction(direction(), tmp_path / "mine.safetensors")
    assert find(tmp_path / "mine.safetensors").name == "smile"
    with pytest.raises(
        UsageError, match=r"unknown direction 'smlie'; did you mean smile\? known: age, "
    ):
        find("smlie")
    with pytest.raises(UsageError, match="unknown direction 'Zebra'; known: age"):
        find("Zebra")
    with pytest.raises(ModelFileError, match="no such file"):
        find(tmp_path / "none")
    with pytest.raises(ModelFileError, match="no such file"):
        find("smile.safetensors")
