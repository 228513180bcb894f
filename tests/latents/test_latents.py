"""A latent is checked on construction and survives files, which are not trusted, bit for bit."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import small_checkpoint, small_generator
from safetensors.torch import save_file

from invert.checkpoints import write_checkpoint
from invert.checkpoints.fingerprint import EARLIER, FFHQ_MOBILE
from invert.errors import InvertError, LatentError, ModelFileError, NotALatentError, UsageError
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.latents.spaces import Space

GENERATOR = small_generator()


def latent(space: str) -> Latent:
    return GENERATOR.sample([0, 1], space=space)


@pytest.mark.parametrize(
    "space", ["Z", "W", "W+", "NW+", "SW+", "NSW+", "FW5", "FNW5", "FSW5", "FNSW5", "FNZ3"]
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_saved_latent_loads_bit_for_bit(space: str, suffix: str, tmp_path: Path) -> None:
    x = latent(space).replace(metadata={"generator": "small", "image": {"crop": [1.5, 2, 3]}})
    x.save(tmp_path / f"x{suffix}")
    y = Latent.load(tmp_path / f"x{suffix}")
    assert (y.space, y.fingerprint, y.metadata) == (x.space, x.fingerprint, x.metadata)
    assert all(torch.equal(a, b) for a, b in zip(x.tensors(), y.tensors(), strict=True))
    assert torch.equal(GENERATOR.render(x), GENERATOR.render(y))


@pytest.mark.parametrize("earlier", EARLIER)
def test_a_latent_of_an_earlier_fingerprint_belongs_to_the_same_network(
    earlier: str, tmp_path: Path
) -> None:
    latent("W+").replace(fingerprint=earlier).save(tmp_path / "x.pt")
    assert Latent.load(tmp_path / "x.pt").fingerprint == FFHQ_MOBILE


def test_a_batch_splits_and_joins() -> None:
    x = latent("FNSW5")
    assert len(x) == 2
    y = Latent.cat([x[0], x[-1]])
    assert all(torch.equal(a, b) for a, b in zip(x.tensors(), y.tensors(), strict=True))
    with pytest.raises(IndexError):
        x[2]
    with pytest.raises(LatentError, match="one space and generator"):
        Latent.cat([x, latent("FNW5")])
    with pytest.raises(LatentError, match="different generators"):
        Latent.cat([x, small_generator(seed=1).sample(0, space="FNSW5")])
    wide = tuple(s.expand(-1, -1, 2, 2) for s in x.style_list())
    with pytest.raises(LatentError, match="sizes differ"):
        Latent.cat([x, x.replace(styles=wide)])
    with pytest.raises(LatentError, match="at least one"):
        Latent.cat([])


def begun_elsewhere(x: Latent) -> Latent:
    """The point with an origin that it was not at."""
    assert x.companion is not None
    return x.replace(companion=x.companion.replace(origin=tuple(t + 1 for t in x.origin())))


def test_an_origin_is_saved_and_ends_with_what_it_belongs_to(tmp_path: Path) -> None:
    x = latent("FNW5")
    x = begun_elsewhere(x)
    x.save(tmp_path / "x.pt")
    y = Latent.load(tmp_path / "x.pt")
    assert "origin" in y.parts()
    assert all(torch.equal(a, b) for a, b in zip(x.origin(), y.origin(), strict=True))
    assert "origin" in GENERATOR.convert(x, "FNSW5").parts()
    assert "origin" not in GENERATOR.convert(x, "FNW6").parts()
    assert "origin" not in x.replace(features=x.features).parts()
    assert "origin" not in x.replace(companion=None).parts()
    assert "origin" in x.replace(noise=x.noise).parts()


def test_an_origin_without_a_companion_is_refused(tmp_path: Path) -> None:
    begun_elsewhere(latent("FNW5")).save(tmp_path / "x.pt")
    content = torch.load(tmp_path / "x.pt", weights_only=True)
    del content["tensors"]["companion"]
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ModelFileError, match="edits of a companion began, and there is none"):
        Latent.load(tmp_path / "x.pt")


def test_edited_and_unedited_points_join() -> None:
    x = latent("FNW5")[0]
    edited = begun_elsewhere(x)
    both = Latent.cat([x, edited])
    assert "origin" in both[0].parts()
    assert all(torch.equal(a, b) for a, b in zip(both[0].origin(), x.origin(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(both[1].origin(), edited.origin(), strict=True))
    without = Latent.cat([edited, x.replace(companion=None)])
    assert len(without) == 2
    assert without.companion is None
    with pytest.raises(LatentError, match="has no companion, where edits begin"):
        without.origin()


def test_parts_that_contradict_the_space_are_refused() -> None:
    x = latent("FNW5")
    assert x.features is not None
    companion = x.companion
    assert companion is not None
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"features": None}, "needs features"),
        ({"noise": None}, "needs noise"),
        ({"styles": latent("FNSW5").styles}, "one style tensor"),
        ({"styles": latent("W").styles}, "needs styles"),
        ({"features": x.features[0]}, "needs features"),
        ({"features": x.features[:1]}, "disagree in batch size"),
        ({"features": x.features.long()}, "floating point"),
        ({"rgb": x.features}, "needs rgb"),
        ({"label": torch.zeros(2, 3)}, "no label"),
        ({"noise": (x.features,)}, "needs noise maps"),
        ({"noise": x.noise and x.noise[0]}, "tuple of tensors as noise"),
        ({"companion": x.features}, "expected a Companion"),
        ({"companion": companion.replace(origin=(x.features,))}, "origin of the sizes of its comp"),
    ]
    for changes, reason in wrong:
        with pytest.raises(LatentError, match=reason):
            x.replace(**changes)
    with pytest.raises(LatentError, match="a companion is"):
        Companion(torch.zeros(2, 3))
    with pytest.raises(LatentError, match="tuple of tensors as origin"):
        companion.replace(origin=x.features)
    with pytest.raises(LatentError, match="expected a tensor as windows"):
        companion.replace(windows=(0, 0))
    with pytest.raises(LatentError, match="has no features"):
        latent("W+").replace(features=x.features)
    with pytest.raises(LatentError, match="has no companion"):
        latent("W+").replace(companion=Companion(torch.zeros(2, 3, 4)))
    with pytest.raises(LatentError, match="has no RGB"):
        latent("W+").replace(rgb=x.rgb)
    with pytest.raises(LatentError, match="tuple of style maps"):
        Latent(Space.parse("SW+"), torch.zeros(1, 3, 4), "")
    with pytest.raises(LatentError, match="no style per layer"):
        latent("W").style_list()
    with pytest.raises(LatentError, match=r"style map per layer; use style_list\(\)"):
        latent("FSW5").style_tensor()


def write(path: Path, **changes: Any) -> Path:
    x = latent("FNW5")
    x.save(path)
    content = torch.load(path, weights_only=True)
    torch.save({**content, **changes}, path)
    return path


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": "other"}, "not a latent"),
        ({"version": 99}, "latent format 99"),
        ({"space": "FNW6"}, None),  # parses; the generator refuses it
        ({"space": "nonsense"}, "unknown space"),
        ({"space": "FW5"}, "has no noise"),
        ({"tensors": 3}, "dict of tensors"),
        ({"tensors": {}}, "styles are missing"),
        (
            {"tensors": {"styles": torch.zeros(1, 3, 3), "extra": torch.zeros(1)}},
            "unexpected tensor",
        ),
        ({"tensors": {"styles.1": torch.zeros(1, 3, 3)}}, "missing"),
        ({"tensors": {"styles": torch.full((1, 3, 3), float("nan"))}}, "not finite"),
        ({"metadata": 3}, "metadata"),
        ({"fingerprint": None}, "fingerprint"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(
    changes: dict[str, Any], reason: str | None, tmp_path: Path
) -> None:
    path = write(tmp_path / "x.pt", **changes)
    if reason is None:
        with pytest.raises(LatentError):
            GENERATOR.check(Latent.load(path))
        return
    with pytest.raises(ModelFileError, match=reason) as caught:
        Latent.load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_files_that_declare_more_than_they_hold_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pt", tensors={"styles": torch.zeros(1).expand(1000, 1000, 1000)})
    with pytest.raises(ModelFileError, match=r"x\.pt"):
        Latent.load(path)


def test_compressed_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pt")
    squeezed = tmp_path / "y.pt"
    with (
        zipfile.ZipFile(path) as source,
        zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(ModelFileError, match="compress"):
        Latent.load(squeezed)


def test_missing_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such latent"):
        Latent.load(tmp_path / "none.pt")
    x = latent("W")
    for suffix in (".pt", ".safetensors"):
        path = tmp_path / f"x{suffix}"
        x.save(path)
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(ModelFileError, match=f"x{suffix}"):
            Latent.load(path)
    save_file({"styles": torch.zeros(1, 4)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ModelFileError, match="did not write"):
        Latent.load(tmp_path / "foreign.safetensors")
    write_checkpoint(tmp_path / "network.safetensors", small_checkpoint())
    with pytest.raises(NotALatentError, match="not a latent"):
        Latent.load(tmp_path / "network.safetensors")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    latent("W").save(path)
    before = path.read_bytes()
    with pytest.raises(InvertError, match="cannot be written"):
        latent("W").save(tmp_path / "missing" / "x.pt")
    with pytest.raises(LatentError, match="metadata are not JSON"):
        latent("W").replace(metadata={"bad": object()}).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]


def test_a_view_saves_only_its_own_values(tmp_path: Path) -> None:
    big = GENERATOR.sample(range(50), space="NW+")
    big[0].save(tmp_path / "one.pt")
    big.save(tmp_path / "all.pt")
    assert (tmp_path / "one.pt").stat().st_size < (tmp_path / "all.pt").stat().st_size / 10


def test_points_are_chosen_by_integers_of_every_kind_and_by_slices() -> None:
    x = GENERATOR.sample([0, 1, 2], space="FNW5")
    last = x[2].tensors()
    for index in (-1, np.int64(2), torch.tensor(2), [2], np.array([2]), slice(2, None)):
        chosen = x[index].tensors()
        assert all(torch.equal(a, b) for a, b in zip(chosen, last, strict=True))
    for index in ([2, 0], torch.tensor([2, 0]), slice(None, None, -2)):
        assert torch.equal(x[index].style_tensor(), x.style_tensor()[[2, 0]])


@pytest.mark.parametrize("index", ["a", 1.5, True, None, [], [0.5], torch.tensor([True, False])])
def test_what_chooses_no_point_is_refused(index: Any) -> None:
    with pytest.raises(UsageError, match="an integer, a slice or a list of integers, got"):
        GENERATOR.sample([0, 1])[index]


def test_each_point_has_metadata_of_its_own() -> None:
    x = GENERATOR.sample([0, 1]).replace(metadata={"made_by": "me"})
    a, b = x[0], x[1]
    for copy in (a, x.replace(styles=x.styles), x.to(dtype=torch.float64)):
        copy.metadata["seed"] = 1  # type: ignore[index]
    assert b.metadata == x.metadata == {"made_by": "me"}
    with pytest.raises(LatentError, match="expected a dict as metadata, got list"):
        x.replace(metadata=[1])
