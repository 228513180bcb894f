"""The flow of an attribute model adds up, returns and stays inside masks; its file is what was
saved.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from networks import small_generator, small_mobile
from torch import Tensor

import edits.attributes.files
from directions.direction import Direction, unit
from edits.along_direction import move
from edits.attributes.catalog import feature_edit_for, file_name, find_model
from edits.attributes.files import load_attribute_model, save_attribute_model
from edits.attributes.flow import LinearFlow, exponential
from edits.attributes.model import AttributeModel
from edits.feature_edit_names import FEATURE_EDITS
from invert.checkpoints import write_checkpoint
from invert.checkpoints.fingerprint import FFHQ_MOBILE
from invert.checkpoints.safe_safetensors import load_safetensors
from invert.errors import FingerprintError, ModelFileError, UsageError
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.layer_ranges import styles_inside
from invert.latents.spaces import Space


@pytest.fixture(scope="module", params=["stylegan2", "mobile"])
def generator(request: pytest.FixtureRequest) -> Generator:
    return (
        small_generator(dtype=torch.float64)
        if request.param == "stylegan2"
        else small_mobile(torch.float64)
    )


def direction(generator: Generator, **changes: Any) -> Direction:
    g = torch.Generator().manual_seed(3)
    vectors = unit(torch.randn(generator.w_dim, generator=g))
    fields: dict[str, Any] = {"name": "smile", "vectors": vectors, "sigma": 0.5}
    return Direction(**fields | changes)


def flow(
    channels: int, rank: int, rgb: bool, size: int = 3, scale: float = 0.2, rgb_scale: float = 2.0
) -> LinearFlow:
    g = torch.Generator().manual_seed(1)
    width = rank + 3 * rgb
    kernel = (
        torch.randn(width, width, size, size, generator=g, dtype=torch.float64) * scale / width**0.5
    )
    return LinearFlow(
        torch.randn(channels, rank, generator=g, dtype=torch.float64), kernel, rgb_scale
    )


def planted(generator: Generator, layer: int = 5, size: int = 3, **changes: Any) -> AttributeModel:
    """A model that nobody trained."""
    facts = generator.layer(layer)
    inside = styles_inside(generator.network, Space("W+", layer))
    offset = direction(generator).offset(generator.num_ws, 1.0)[:inside]
    m = flow(facts.channels, facts.channels // 2, facts.rgb_size is not None, size)
    fields: dict[str, Any] = {
        "direction": "smile",
        "layer": layer,
        "fingerprint": generator.fingerprint,
        "offset": offset,
        "flow": m,
    }
    return AttributeModel(**{**fields, "limit": 4.0, **changes})


def difference(a: Latent, b: Latent) -> float:
    assert a.space == b.space
    return max((s - t).abs().max().item() for s, t in zip(a.tensors(), b.tensors(), strict=True))


def side_mask(height: int, width: int, share: float) -> Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[..., : round(width * share)] = 1
    return mask


def random_maps(channels: int, height: int, width: int, rgb: str) -> tuple[Tensor, Tensor | None]:
    g = torch.Generator().manual_seed(7)
    x = torch.randn(2, channels, height, width, generator=g, dtype=torch.float64)
    k = {"half": 2, "full": 1}.get(rgb)
    return x, torch.randn(
        2, 3, height // k, width // k, generator=g, dtype=torch.float64
    ) if k else None


# -- the flow


@pytest.mark.parametrize("strength", [-40.0, -1.0, 0.0, 0.3, 7.0])
def test_the_series_is_the_exponential_of_the_matrix(strength: float) -> None:
    g = torch.Generator().manual_seed(0)
    a = torch.randn(6, 6, generator=g, dtype=torch.float64) / 6
    y = torch.randn(1, 6, 2, 3, generator=g, dtype=torch.float64)
    norm = torch.linalg.matrix_norm(a, 2).item()
    found = exponential(lambda t: torch.einsum("oi,nihw->nohw", a, t), y, strength, norm)
    expected = torch.einsum("oi,nihw->nohw", torch.linalg.matrix_exp(strength * a), y)
    assert (found - expected).norm() < 1e-12 * expected.norm() * math.exp(abs(strength) * norm / 4)


def test_each_point_of_a_batch_has_its_own_strength() -> None:
    m = flow(8, 4, rgb=False)
    x, _ = random_maps(8, 6, 4, "none")
    y = m.coordinates(x, None)
    both = m.moved(y, None, torch.tensor([-1.5, 3.0], dtype=torch.float64)[:, None, None, None])
    for k, c in enumerate((-1.5, 3.0)):
        assert torch.allclose(both[k : k + 1], m.moved(y[k : k + 1], None, c), atol=1e-12)


@pytest.mark.parametrize("rgb", ["none", "half", "full"])
@pytest.mark.parametrize("size", [1, 3])
def test_steps_add_up_and_return(rgb: str, size: int) -> None:
    m = flow(8, 5, rgb != "none", size)
    x, r = random_maps(8, 6, 10, rgb)

    def after(x: Tensor, r: Tensor | None, c: float) -> tuple[Tensor, Tensor | None]:
        dx, dr = m.displacement(x, r, c)
        return x + dx, None if r is None or dr is None else r + dr

    at_once, in_steps = after(x, r, 3.0), after(*after(x, r, 4.5), -1.5)
    assert (at_once[0] - x).abs().max() > 0.1
    assert (at_once[0] - in_steps[0]).abs().max() < 1e-11
    if r is not None:
        assert at_once[1] is not None
        assert in_steps[1] is not None
        assert (at_once[1] - r).abs().max() > 0.01
        assert (at_once[1] - in_steps[1]).abs().max() < 1e-11


def test_a_rounded_basis_adds_up_too() -> None:
    m = flow(8, 5, rgb=False)
    rounded = LinearFlow(m.basis.half(), m.kernel.half())
    x, _ = random_maps(8, 6, 4, "none")
    there = x + rounded.displacement(x, None, 2.0)[0]
    assert (there + rounded.displacement(there, None, -2.0)[0] - x).abs().max() < 1e-11


@pytest.mark.parametrize("share", [0.5, 0.3])  # of 4 cells: with 0.3 one of them is covered in part
@pytest.mark.parametrize("rgb", ["none", "half"])
def test_under_a_mask_it_returns_and_the_rest_stays(share: float, rgb: str) -> None:
    m = flow(8, 5, rgb != "none")
    x, r = random_maps(8, 4, 4, rgb)
    mask = side_mask(40, 40, share)
    dx, dr = m.displacement(x, r, 2.0, mask)
    assert dx[..., :2].abs().min() > 0
    assert not dx[..., 2:].any()
    back, back_rgb = m.displacement(x + dx, None if r is None or dr is None else r + dr, -2.0, mask)
    assert (back + dx).abs().max() < 1e-11
    if dr is not None and back_rgb is not None:
        assert dr[..., :1].abs().min() > 0
        assert not dr[..., 1:].any()
        assert (back_rgb + dr).abs().max() < 1e-11


def test_a_kernel_of_one_cell_and_a_full_basis_is_the_convolution_of_the_paper() -> None:
    g = torch.Generator().manual_seed(2)
    weight = torch.randn(11, 11, 1, 1, generator=g, dtype=torch.float64) / 11
    m = LinearFlow(torch.eye(8, dtype=torch.float64), weight)
    x, r = random_maps(8, 6, 4, "half")
    assert r is not None
    expected = F.conv2d(torch.cat([x, F.interpolate(r, size=(6, 4))], 1), weight)
    c = 1e-6
    dx, dr = m.displacement(x, r, c)
    assert dr is not None
    assert torch.allclose(dx / c, expected[:, :8], atol=1e-4)
    assert torch.allclose(dr / c, F.avg_pool2d(expected[:, 8:], 2), atol=1e-4)


@pytest.mark.parametrize(
    ("basis", "kernel", "scale", "reason"),
    [
        ((4,), (4, 4, 1, 1), 1.0, r"a basis \[C, K\] with K ≤ C, got \[4\]"),
        ((4, 5), (5, 5, 1, 1), 1.0, r"a basis \[C, K\] with K ≤ C, got \[4, 5\]"),
        (
            (4, 2),
            (3, 3, 1, 1),
            1.0,
            r"a kernel \[K, K, k, k\] with K one of \(2, 5\), got \[3, 3, 1, 1\]",
        ),
        ((4, 2), (2, 5, 1, 1), 1.0, r"a kernel \[K, K, k, k\]"),
        ((4, 2), (2, 2, 2, 2), 1.0, "square kernel of odd side, got 2×2"),
        ((4, 2), (2, 2, 3, 1), 1.0, "square kernel of odd side, got 3×1"),
        ((4, 2), (2, 2, 1, 1), 0.0, "a positive rgb_scale, got 0"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    basis: Any, kernel: Any, scale: float, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        LinearFlow(torch.ones(basis), torch.ones(kernel), scale)


# -- as a feature edit


@pytest.mark.parametrize("space", ["FW5", "FNW5", "FSW5", "FNSW5", "FW4"])
def test_an_edit_with_the_model_returns_and_adds_up(generator: Generator, space: str) -> None:
    model, d = planted(generator, int(space[-1])), direction(generator)
    x = generator.sample([0, 1], space=space).replace(companion=None)

    def edited(x: Latent, c: float) -> Latent:
        return move(generator, x, d.offset(generator.num_ws, c), features=model)

    there = edited(x, 3.0)
    assert str(there.space) == space
    styles_only = move(generator, x, d.offset(generator.num_ws, 3.0), features="keep")
    assert difference(there, styles_only) > 0.1
    assert x.features is not None
    rounding = 1e-6 * x.features.abs().max().item()  # the strength comes from a float32 vector
    assert difference(edited(there, -3.0), x) < rounding
    assert difference(edited(there, -1.0), edited(x, 2.0)) < rounding


def test_small_strengths_are_those_of_the_first_order(generator: Generator) -> None:
    model, d = planted(generator), direction(generator)
    x = generator.sample(0, space="FNW5")
    assert x.features is not None
    c = 1e-4
    edited = move(generator, x, d.offset(generator.num_ws, c), features=model)
    for before, after, slope in zip(
        (x.features, x.rgb), (edited.features, edited.rgb), model(x.features, x.rgb), strict=True
    ):
        assert (before is None) == (slope is None)
        if before is not None and after is not None and slope is not None:
            assert ((after - before) / c - slope).abs().max() < 1e-2 * slope.abs().max()


def test_under_a_mask_an_edit_returns_on_a_canvas_of_any_size(generator: Generator) -> None:
    model, d = planted(generator), direction(generator)
    x = generator.sample(0, space="FNW5")
    assert x.features is not None
    assert x.noise is not None
    wide = x.replace(
        features=torch.cat([x.features, x.features], 3),
        rgb=None if x.rgb is None else torch.cat([x.rgb, x.rgb], 3),
        noise=tuple(torch.cat([n, n], 3) for n in x.noise),
        companion=None,
    )
    side = generator.resolution
    mask = side_mask(side, 2 * side, 0.4)
    there = move(generator, wide, d.offset(generator.num_ws, 2.0), features=model, mask=mask)
    back = move(generator, there, d.offset(generator.num_ws, -2.0), features=model, mask=mask)
    change = (generator.render(there) - generator.render(wide)).abs().amax(dim=(0, 1, 2))
    assert change[: side // 2].min() > 1e-3
    assert (generator.render(back) - generator.render(wide)).abs().max() < 1e-5
    assert there.features is not None
    assert wide.features is not None
    cells = wide.features.shape[3]
    assert torch.equal(there.features[..., cells // 2 :], wide.features[..., cells // 2 :])
    whole = move(generator, wide, d.offset(generator.num_ws, 2.0), features=model)
    full = move(
        generator,
        wide,
        d.offset(generator.num_ws, 2.0),
        features=model,
        mask=torch.ones(1, 1, side, 2 * side),
    )
    assert whole.features is not None
    assert full.features is not None
    assert torch.equal(whole.features, full.features)


def test_a_batch_moves_like_its_points(generator: Generator) -> None:
    model, o = planted(generator), direction(generator).offset(generator.num_ws, 2.0)
    x = generator.sample([0, 1, 2], space="FNW5")
    one_by_one = Latent.cat([move(generator, x[k], o, features=model) for k in range(3)])
    assert difference(move(generator, x, o, features=model), one_by_one) < 1e-10


def test_only_the_styles_that_made_the_features_matter(generator: Generator) -> None:
    model, d = planted(generator), direction(generator)
    x = generator.sample(0, space="FNW5")
    coarse = move(generator, x, d.offset(generator.num_ws, 2.0, (0, 5)), features=model)
    whole = move(generator, x, d.offset(generator.num_ws, 2.0), features=model)
    assert coarse.features is not None
    assert whole.features is not None
    assert torch.equal(coarse.features, whole.features)
    later = move(generator, x, d.offset(generator.num_ws, 2.0, (5, 8)), features=model)
    assert torch.equal(later.features, x.features)


def test_an_edit_that_the_model_cannot_carry_is_refused(generator: Generator) -> None:
    model, d = planted(generator), direction(generator)
    x = generator.sample(0, space="FNW5")
    with pytest.raises(
        UsageError, match=r"not along 'smile', .*; leave --styles out, or use features='residual'"
    ):
        move(generator, x, d.offset(generator.num_ws, 2.0, (0, 2)), features=model)
    other = direction(generator, vectors=unit(torch.ones(generator.w_dim)))
    with pytest.raises(UsageError, match="not along 'smile'"):
        move(generator, x, other.offset(generator.num_ws, 2.0), features=model)
    with pytest.raises(UsageError, match=r"strength is -9 σ, .* holds within ±8; use less"):
        move(generator, x, d.offset(generator.num_ws, -9.0), features=model)
    with pytest.raises(UsageError, match="is for F_5, the latent is in FNW6; train one"):
        move(
            generator, generator.convert(x, "FNW6"), d.offset(generator.num_ws, 1.0), features=model
        )
    foreign = dataclasses.replace(model, fingerprint="0" * 64)
    with pytest.raises(
        FingerprintError, match=r"another generator \(0{12}\), .*`invert train attribute`"
    ):
        move(generator, x, d.offset(generator.num_ws, 1.0), features=foreign)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"offset": torch.zeros(4, 32)}, "the offset of one step"),
        ({"offset": torch.ones(32)}, "the offset of one step"),
        ({"offset": torch.full((4, 32), math.nan)}, "not finite numbers"),
        ({"offset": torch.ones(4, 32, dtype=torch.int64)}, "not finite numbers"),
        ({"layer": 0}, "layer ≥ 1 and a positive limit"),
        ({"limit": math.nan}, "layer ≥ 1 and a positive limit"),
        ({"training": {"loss": math.nan}}, "not JSON"),
        (
            {"flow": LinearFlow(torch.ones(32, 1), torch.full((1, 1, 1, 1), math.inf))},
            "not finite numbers",
        ),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        dataclasses.replace(planted(small_generator()), **changes)


# -- files


@pytest.mark.parametrize("half", [True, False])
def test_a_saved_model_loads_bit_for_bit(generator: Generator, half: bool, tmp_path: Path) -> None:
    model = planted(generator, training={"explained": {"+1": {"features": 0.5}}})
    if half:
        model = model.half()
        assert model.flow.kernel.dtype == torch.float16
    save_attribute_model(model, tmp_path / "m.safetensors")
    again = load_attribute_model(tmp_path / "m.safetensors", generator)
    for a, b in ((model.flow.basis, again.flow.basis), (model.flow.kernel, again.flow.kernel)):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    assert torch.equal(model.offset, again.offset)
    assert again.flow.rgb_scale == model.flow.rgb_scale
    for name in ("direction", "layer", "fingerprint", "limit", "training"):
        assert getattr(model, name) == getattr(again, name)
    x, o = generator.sample(0, space="FNW5"), direction(generator).offset(generator.num_ws, 2.0)
    assert (
        difference(move(generator, x, o, features=model), move(generator, x, o, features=again))
        == 0
    )


def rewrite(path: Path, tensors: dict[str, Tensor] | None = None, **changes: Any) -> Path:
    """The file with some tensors and metadata changed."""
    metadata, found = load_safetensors(path.read_bytes())
    data = safetensors.torch.save(
        {**found, **(tensors or {})}, {"invert": json.dumps({**metadata, **changes})}
    )
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("tensors", "changes", "reason"),
    [
        (
            {},
            {"architecture": "encoder"},
            "not an attribute model of invert .*, this is an encoder",
        ),
        ({}, {"version": 9}, "attribute model format 9, expected 1; update invert"),
        ({"more": torch.ones(1)}, {}, "expected tensors basis, kernel, offset, found"),
        ({}, {"layer": True}, "a field is missing or of the wrong type"),
        ({}, {"limit": None}, "a field is missing or of the wrong type"),
        ({"kernel": torch.ones(2, 2, 2, 2)}, {}, r"expected a kernel .*; the file is damaged"),
        ({"offset": torch.zeros(4, 32)}, {}, "the offset of one step .*; the file is damaged"),
        ({"offset": torch.ones(3, 32)}, {}, r"got \(32, True, \[3, 32\]\); the file is damaged"),
        (
            {"kernel": torch.ones(16, 16, 1, 1)},
            {},
            r"got \(32, False, \[4, 32\]\); the file is damaged",
        ),
        ({}, {"layer": 99}, "layer 99, this generator has 10"),
    ],
)
def test_a_file_that_is_not_the_generators_model_is_refused(
    tensors: dict[str, Tensor], changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    generator = small_generator()
    path = tmp_path / "m.safetensors"
    save_attribute_model(planted(generator), path)
    rewrite(path, tensors, **changes)
    with pytest.raises(ModelFileError, match=reason) as error:
        load_attribute_model(path, generator)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_other_files_and_other_generators_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, path = small_generator(), tmp_path / "m.safetensors"
    with pytest.raises(ModelFileError, match=r"m\.safetensors: no such file"):
        load_attribute_model(path)
    path.write_bytes(b"not a model")
    with pytest.raises(ModelFileError, match="damaged safetensors file"):
        load_attribute_model(path)
    from networks import small_checkpoint

    write_checkpoint(path, small_checkpoint())
    with pytest.raises(
        ModelFileError, match=r"not an attribute model of invert .*, this is a checkpoint"
    ):
        load_attribute_model(path)
    save_attribute_model(planted(small_generator(seed=1)), path)
    with pytest.raises(
        FingerprintError, match=r"m\.safetensors: the attribute model of 'smile' belongs to another"
    ):
        load_attribute_model(path, generator)
    assert load_attribute_model(path).direction == "smile"
    with pytest.raises(UsageError, match=r"m\.pt: attribute models are written as \.safetensors"):
        save_attribute_model(planted(generator), tmp_path / "m.pt")
    small = dataclasses.replace(edits.attributes.files.FORMAT, max_bytes=100)
    monkeypatch.setattr(edits.attributes.files, "FORMAT", small)
    with pytest.raises(ModelFileError, match="an attribute model has at most 100"):
        load_attribute_model(path)


# -- which feature edit an edit takes


def test_the_catalogue_finds_models_by_direction_layer_and_generator(
    generator: Generator, tmp_path: Path
) -> None:
    d = direction(generator)
    assert find_model(generator, d, 5, folder=tmp_path) is None
    save_attribute_model(
        planted(generator, fingerprint="0" * 64), tmp_path / file_name("smile", 5, "another")
    )
    save_attribute_model(planted(generator), tmp_path / file_name("smile", 5, "small"))
    found = find_model(generator, d, 5, folder=tmp_path)
    assert found is not None
    assert found.fingerprint == generator.fingerprint
    assert find_model(generator, d, 4, folder=tmp_path) is None
    assert find_model(generator, direction(generator, name="age"), 5, folder=tmp_path) is None
    same_name = direction(generator, vectors=unit(torch.ones(generator.w_dim)))
    assert find_model(generator, same_name, 5, folder=tmp_path) is None


def test_auto_takes_the_companion_else_the_model_and_never_falls_to_styles(
    generator: Generator, tmp_path: Path
) -> None:
    d = direction(generator)
    x = generator.sample(0, space="FNW5")
    lost = x.replace(companion=None)

    def chosen(features: str, x: Latent, styles: tuple[int, int] | None = None) -> str:
        name, feature_edit = feature_edit_for(features, generator, x, d, styles, folder=tmp_path)
        assert feature_edit is FEATURE_EDITS.get(name, feature_edit)
        return name

    assert chosen("auto", x) == "residual"
    assert chosen("auto", generator.sample(0)) == "keep"  # a point of W: every style moves
    assert chosen("auto", lost, (5, 8)) == "keep"  # F_5 was made before
    for features, reason in (
        ("auto", "companion of this latent does not serve the edit"),
        ("model", ""),
    ):
        with pytest.raises(
            UsageError, match=f"{reason}.*no attribute model of 'smile' for F_5 .*--direction smile"
        ):
            chosen(features, lost)
    save_attribute_model(planted(generator), tmp_path / file_name("smile", 5, "small"))
    assert chosen("auto", lost) == "model"
    assert chosen("auto", x) == "residual"
    assert chosen("model", x) == "model"
    assert chosen("keep", x) == "keep"
    assert chosen("residual", x) == "residual"
    assert chosen("difference", lost) == "difference"  # asked for: it says itself what it lacks
    wide = x.replace(
        features=torch.cat([x.features, x.features], 3),
        rgb=None if x.rgb is None else torch.cat([x.rgb, x.rgb], 3),
        noise=tuple(torch.cat([n, n], 3) for n in x.noise or ()),
    )
    assert chosen("auto", wide) == "model"
    path = str(tmp_path / file_name("smile", 5, "small"))
    assert chosen(path, x) == path
    with pytest.raises(
        UsageError,
        match="unknown feature edit 'modle'; known: auto, residual, difference, model, keep, "
        "or the path",
    ):
        chosen("modle", x)


def test_shipped_models_are_those_of_the_catalogue() -> None:
    from directions.catalog import find
    from edits.attributes.catalog import FOLDER

    for path in sorted(FOLDER.glob("*.safetensors")):
        model = load_attribute_model(path)
        assert path.name == file_name(
            model.direction, model.layer, str(model.training["generator"])
        )
        assert model.fingerprint == FFHQ_MOBILE
        offset = find(model.direction).offset(18, 1.0)
        assert model.strength(offset[: len(model.offset)]) == pytest.approx(1.0)
