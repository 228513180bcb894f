"""Settings take numbers of numpy and torch, and hold Python's, which files can hold."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import small_generator

from directions.direction import Direction, unit
from directions.direction_files import load_direction, save_direction
from directions.pca import principal_directions
from directions.regression import learn
from directions.sefa import factorize
from directions.w_space import WSpace
from edits.attributes.training import AttributeSettings
from invert.arguments import check_integers, plain
from invert.checkpoints.file_format import FileFormat
from invert.encoders.settings import EncoderSettings
from invert.errors import UsageError
from invert.gan.settings import GanSettings
from invert.latents.latent import Latent
from invert.projection.projector import project
from invert.projection.settings import ProjectionSettings

GENERATOR = small_generator()
VECTOR = unit(torch.ones(GENERATOR.w_dim))


@pytest.mark.parametrize(
    "settings",
    [
        AttributeSettings(limit=np.float32(3), rank=np.int64(4)),
        GanSettings(batch=np.int64(4), lr=torch.tensor(0.001), mirror=np.bool_(True)),
        EncoderSettings(lr=np.float32(1e-3), image_side=torch.tensor(64)),
        ProjectionSettings(steps=np.int64(2), lr=torch.tensor(0.1), half=np.bool_(False)),
    ],
    ids=lambda settings: type(settings).__name__,
)
def test_settings_hold_numbers_that_files_can_hold(settings: Any) -> None:
    kinds = {type(value) for value in asdict(settings).values()}
    assert kinds <= {int, float, bool, str, tuple, type(None)}
    json.dumps(asdict(settings))


def test_a_flag_is_no_number_and_a_number_no_flag() -> None:
    for steps in (True, np.bool_(True), torch.tensor(True)):
        with pytest.raises(UsageError, match="steps is an integer"):
            ProjectionSettings(steps=steps)
    with pytest.raises(UsageError, match="lr is a number in"):
        ProjectionSettings(lr=np.bool_(True))
    with pytest.raises(UsageError, match="graphs is True or False, got 1"):
        ProjectionSettings(graphs=1)


def test_a_projection_with_numbers_of_numpy_is_that_with_pythons_and_saved(tmp_path: Path) -> None:
    image = GENERATOR.render(GENERATOR.sample(1, psi=0.5))
    results = []
    for steps, lr, seed in ((2, 0.125, 3), (np.int64(2), np.float32(0.125), torch.tensor(3))):
        settings = ProjectionSettings(steps=steps, lr=lr, perceptual="none", w_noise=0.05)
        latent = project(GENERATOR, image, "W", settings=settings, seed=seed).latent
        latent.save(tmp_path / "x.pt")
        results.append(Latent.load(tmp_path / "x.pt"))
    a, b = results
    assert torch.equal(a.style_tensor(), b.style_tensor())
    assert a.metadata == b.metadata


def test_directions_of_numbers_of_numpy_are_saved(tmp_path: Path) -> None:
    space = WSpace.from_generator(GENERATOR, 200)
    w, two = GENERATOR.sample(range(40), space="W").style_tensor(), np.int64(2)
    for made in (
        Direction("a", VECTOR, np.float32(0.5), styles=(np.int64(0), two), measured={"x": two}),
        Direction("a", VECTOR, torch.tensor(0.5), styles=np.array([0, 2])),
        learn(w, w[:, 0], name="a", space=space, seed=np.int64(3)),
        principal_directions(GENERATOR, two, samples=np.int64(200), styles=(0, two))[1],
        factorize(GENERATOR, np.array([0, 3]), two)[1],
    ):
        save_direction(made, tmp_path / "a.safetensors")
        again = load_direction(tmp_path / "a.safetensors")
        assert torch.equal(again.vectors, made.vectors)
        for name in ("sigma", "styles", "source", "measured"):
            assert getattr(again, name) == getattr(made, name)


def test_what_files_cannot_hold_is_refused_before_there_is_one(tmp_path: Path) -> None:
    kind = FileFormat("thing", key="format", name="thing", hint="make it again")
    kind.write(tmp_path / "a", {"x": np.int64(1), "y": (np.float32(0.5),)}, {})
    assert kind.read(tmp_path / "a")[0] == {**kind.marks, "x": 1, "y": [0.5]}
    for wrong in (object(), np.arange(3), {(1, 2): 3}):
        with pytest.raises(UsageError, match="b: not written: its metadata cannot be stored"):
            kind.write(tmp_path / "b", {"x": wrong}, {})
    assert not (tmp_path / "b").exists()


def test_integers_come_from_any_sequence() -> None:
    for values in ((1, 2), [1, 2], np.array([1, 2]), torch.tensor([1, 2]), (np.int64(1), 2)):
        numbers = check_integers("at", values, "x, y")
        assert numbers == (1, 2)
        assert {type(number) for number in numbers} == {int}
    for wrong in ((1, 2.0), (1,), (1, 2, 3), "12", 1, None, (True, 1)):
        with pytest.raises(UsageError, match=r"at: expected \(x, y\) in whole numbers, got"):
            check_integers("at", wrong, "x, y")


def test_plain_values_keep_their_structure() -> None:
    assert plain({"a": (1, [np.float64(2)]), "b": {"c": torch.tensor(3)}, "d": None}) == {
        "a": [1, [2.0]],
        "b": {"c": 3},
        "d": None,
    }
