"""What `project` takes as its image in Python, and what it says of anything else."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import small_generator
from picture_files import photo
from PIL import Image

import invert
from directions.direction import Direction, unit
from edits.along_direction import edit
from edits.equalization import equalize
from edits.mixer import mix
from edits.style_mixing import frames, interpolate, resample
from invert.errors import ImageError, ImageWarning, InvertError, UsageError
from invert.images.face_detection import Face
from invert.images.images import to_tensor
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.projection.framing import Framing
from invert.projection.settings import ProjectionSettings
from invert.projection.target import make_target

GENERATOR = small_generator()
QUICK = ProjectionSettings(steps=1, init_steps=1, perceptual="none")
GREY = np.full((64, 64, 3), 127, np.uint8)


def project(image: Any, space: str = "W", **options: Any) -> invert.Projection:
    return invert.project(GENERATOR, image, space, settings=QUICK, **options)


def test_a_path_a_picture_and_its_tensor_are_the_same_image(tmp_path: Path) -> None:
    picture = photo(64, 64)
    picture.save(tmp_path / "p.png")
    wanted = project(to_tensor(picture)).latent
    for image in (
        str(tmp_path / "p.png"),
        tmp_path / "p.png",
        picture,
        Image.open(tmp_path / "p.png"),
    ):
        found = project(image).latent
        assert torch.equal(found.tensors()[0], wanted.tensors()[0])
        assert found.metadata["image"]["size"] == [64, 64]
        assert found.metadata["image"]["crop"] == [0, 0, 64]
    assert "image" not in wanted.metadata


def test_where_it_was_cut_is_kept_and_framing_says_where(tmp_path: Path) -> None:
    photo(96, 80).save(tmp_path / "p.png")
    assert project(tmp_path / "p.png").latent.metadata["image"]["crop"] == [8, 0, 80]
    cut = project(tmp_path / "p.png", framing=Framing(crop=(10, 4, 50))).latent
    assert cut.metadata["image"] | {"crop": [10, 4, 50], "file": "p.png"} == cut.metadata["image"]
    whole, _ = make_target(
        GENERATOR, Space.parse("FNW5"), tmp_path / "p.png", Framing(keep_size=True)
    )
    assert torch.equal(whole, to_tensor(photo(96, 80)))


def test_a_generator_of_faces_gets_the_face(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [(26, 24), (34, 24), (30, 28), (27, 32), (33, 32)]
    face = Face((0, 0, 1, 1), 1.0, tuple(points))
    monkeypatch.setattr("invert.projection.framing.face_detector", lambda: lambda picture: [face])
    named = small_generator()
    named.name = "ffhq-mobile"
    latent = invert.project(named, photo(80, 64), "W", settings=QUICK).latent
    assert latent.metadata["image"]["face"]["side"] == 32


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F", "HSV", "YCbCr"]
)
def test_a_picture_of_any_mode_is_converted(mode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)
        picture = (
            Image.fromarray(GREY).convert("L")
            if mode in ("I;16", "I", "F")
            else Image.fromarray(GREY)
        )
        before = picture.convert(mode)
        if mode in ("I;16", "I"):
            before = Image.fromarray(
                np.asarray(picture).astype(np.uint16 if mode == "I;16" else np.int32) * 257
            )
        if mode == "F":
            before = Image.fromarray(np.asarray(picture, np.float32) / 255)
        image, _ = make_target(GENERATOR, Space.parse("W"), before)
    assert float(image.mean().abs()) < 0.05


def test_a_picture_at_hand_is_turned_and_judged_like_a_file(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = photo(64, 96)
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as opened:
        image, facts = make_target(GENERATOR, Space.parse("W"), opened, Framing(crop=(0, 0, 64)))
    assert facts["size"] == [64, 96]
    assert torch.equal(image, to_tensor(upright.crop((0, 0, 64, 64))))
    for picture, reason in (
        (photo(8, 8), "the picture: 8×8 px is too small"),
        (Image.new("RGBA", (64, 64)), "the picture: fully transparent"),
        (
            Image.fromarray(np.full((64, 64), math.nan, np.float32)),
            "the picture: float image with NaN",
        ),
    ):
        with pytest.raises(ImageError, match=reason):
            project(picture)
    data = io.BytesIO()
    photo(64, 64).save(data, "PNG")
    with pytest.raises(ImageError, match="damaged or truncated"):
        project(Image.open(io.BytesIO(data.getvalue()[:5000])))
    with pytest.raises(UsageError, match=r"call seek\(frame\)"):
        project(photo(64, 64), framing=Framing(reading=invert.ReadOptions(frame=1)))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (torch.rand(1, 3, 64, 64) * 255, r"got values 0\.0\d+ to 25\d\.?\d*; x / 127\.5 - 1"),
        (torch.full((1, 3, 64, 64), 3.0), r"got values 3 to 3; x / 127\.5 - 1"),
        (torch.rand(1, 3, 64, 64) * 65535, "scale them first"),
        (
            torch.zeros(1, 3, 64, 64).index_fill(3, torch.tensor([0]), 255.0),
            r"0 to 255; x / 127\.5 - 1",
        ),
        (torch.full((1, 3, 64, 64), 200, dtype=torch.uint8), r"got uint8; x / 127\.5 - 1"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.int64), "got int64; convert them first"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.bool), "got bool"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.complex64), "got complex64"),
        (torch.full((3, 64, 64), math.inf), "not finite"),
        (torch.zeros(64, 64, 3), r"\[64, 64, 3\]: the colours come last; .* x\.permute\(2, 0, 1\)"),
        (torch.zeros(1, 64, 64, 3), r"x\.permute\(0, 3, 1, 2\)"),
        (torch.zeros(1, 4, 64, 64), "four channels"),
        (torch.zeros(64, 64, 4), "four channels"),
        (torch.zeros(64, 64), r"grey image; .*expand"),
        (torch.zeros(1, 64, 64), "grey image"),
        (torch.zeros(3, 0, 64), "no pixels"),
        (torch.zeros(1, 1, 3, 64, 64), "one by one"),
        (GREY, r"got a numpy array \[64, 64, 3\] of uint8; PIL\.Image\.fromarray"),
        (GREY / 127.5 - 1, "numpy array .* of float64"),
        (b"\x89PNG", r"got bytes; PIL\.Image\.open"),
        ([], "at least one image, got none"),
        ([torch.zeros(1, 3, 64, 64), 7], "got int"),
        ([[torch.zeros(1, 3, 64, 64)]], "a list of 1 within a sequence"),
        (None, "got NoneType"),
        (7, "got int"),
    ],
)
def test_what_is_no_image_is_refused_with_what_came_and_what_to_do(image: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        project(image)
    assert "\n" not in str(caught.value)


def test_values_from_0_to_1_are_taken_with_a_warning_and_an_overshoot_without() -> None:
    with pytest.warns(ImageWarning, match=r"mid-grey to white.*give 2 \* x - 1") as caught:
        project(torch.rand(1, 3, 64, 64))
    assert [warning.filename for warning in caught] == [__file__]  # at the caller's line
    with pytest.warns(ImageWarning, match=r"% lie far outside \[−1, 1\]"):
        project(torch.randn(1, 3, 64, 64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        project(torch.rand(1, 3, 64, 64) * 2.4 - 1.2)
        project(torch.zeros(3, 64, 64))
        project(torch.ones(1, 3, 64, 64, dtype=torch.float64))


def test_missing_files_and_framings_of_tensors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        project(tmp_path / "none.png")
    with pytest.raises(UsageError, match="a tensor is taken as it is"):
        project(torch.zeros(1, 3, 64, 64), framing=Framing())


POINT, OTHER = GENERATOR.sample(0), GENERATOR.sample(1)
ALONG = Direction("along", unit(torch.ones(32)), 1.0)
MASK = torch.ones(1, 1, 64, 64)


@pytest.mark.parametrize(
    "call",
    [
        *(
            lambda seed=seed: GENERATOR.sample(seed)
            for seed in (-1, 2**32, 1.5, "3", True, [], [0, -1], None, math.nan)
        ),
        *(
            lambda psi=psi: GENERATOR.sample(0, psi=psi)
            for psi in (math.nan, math.inf, 1e9, "1", None)
        ),
        *(
            lambda seed=seed: GENERATOR.render(POINT, "random", seed=seed)
            for seed in (-1, 2**70, 0.5)
        ),
        *(
            lambda seed=seed: project(torch.zeros(1, 3, 64, 64), seed=seed)
            for seed in (-1, 2**70, 1.0, None)
        ),
        *(lambda n=n: QUICK.replace(steps=n) for n in (-1, 1e12, 2.5, math.nan, "3", None, True)),
        *(
            lambda lr=lr: QUICK.replace(lr=lr)
            for lr in (0, -1, 0.0, math.nan, math.inf, "0.1", None, 10**400)
        ),
        lambda: QUICK.replace(half=1),
        lambda: QUICK.replace(perceptual=None),
        *(
            lambda s=s: edit(GENERATOR, POINT, ALONG, s)
            for s in (math.nan, math.inf, 1e9, "3", None)
        ),
        *(
            lambda t=t: interpolate(GENERATOR, POINT, OTHER, t)
            for t in (math.nan, -0.1, 2, "a", None)
        ),
        *(lambda n=n: frames(GENERATOR, POINT, OTHER, n) for n in (1, 2.5, math.nan, "3")),
        *(lambda a=a: equalize(GENERATOR, POINT, a) for a in (math.nan, -1, "1")),
        *(lambda k=k: mix(GENERATOR, POINT, OTHER, MASK, keep_styles=k) for k in (-1, 1.5, 99)),
        *(
            lambda f=f: mix(GENERATOR, POINT, OTHER, MASK, feather=f)
            for f in (math.nan, -1, math.inf)
        ),
        lambda: resample(GENERATOR, POINT, "coarse", seed=-1),
        lambda: Latent("W++", torch.zeros(1, 32), ""),
        lambda: Latent(5, torch.zeros(1, 32), ""),
    ],
)
def test_numbers_out_of_range_are_refused_in_python_too(call: Callable[[], object]) -> None:
    with pytest.raises(InvertError) as caught:
        call()
    assert isinstance(caught.value, UsageError), caught.value
    assert "\n" not in str(caught.value)


def test_integers_of_numpy_and_torch_are_seeds() -> None:
    wanted = GENERATOR.sample([3, 4])
    for seeds in (
        np.array([3, 4]),
        torch.tensor([3, 4]),
        range(3, 5),
        (np.int64(3), torch.tensor(4)),
    ):
        assert torch.equal(GENERATOR.sample(seeds).tensors()[0], wanted.tensors()[0])


def test_a_latent_takes_its_space_by_name() -> None:
    by_name = Latent("W+", torch.zeros(1, 10, 32), GENERATOR.fingerprint)
    assert by_name.space == Space.parse("W+")
    assert GENERATOR.render(by_name).shape == (1, 3, 64, 64)


def test_a_tensor_that_wants_gradients_is_an_image() -> None:
    image = torch.zeros(1, 3, 64, 64, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        target, _ = make_target(small_generator(), Space.parse("W"), image)
    assert not target.requires_grad


def test_a_crop_of_any_sequence_is_the_same_crop() -> None:
    picture = Image.fromarray(np.arange(100 * 200 * 3, dtype=np.uint8).reshape(100, 200, 3))
    wanted, facts = make_target(
        GENERATOR, Space.parse("W"), picture, Framing(crop=(100.0, 0.0, 64.0))
    )
    assert facts["crop"] == [100.0, 0.0, 64.0]
    box = [100, 0, 64]
    for crop in (box, np.array(box), torch.tensor(box), [*box, 64]):
        image, where = make_target(GENERATOR, Space.parse("W"), picture, Framing(crop=crop))
        assert torch.equal(image, wanted)
        assert where == facts
    with pytest.raises(UsageError, match="crop is 64×32 px and would be squeezed"):
        make_target(GENERATOR, Space.parse("W"), picture, Framing(crop=(100, 0, 64, 32)))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"crop": "Face"}, "got 'Face'; did you mean face"),
        ({"crop": "center"}, "got 'center'; did you mean centre"),
        ({"crop": "left"}, "crop is .*'centre' or 'face', got 'left'"),
        ({"crop": (1, 2)}, r"got \(1, 2\)"),
        ({"crop": ("1", 2, 3)}, "got"),
        ({"crop": (1, 2, math.nan)}, "got"),
        ({"crop": (1, 2, 0)}, "a side above 0"),
        ({"crop": 5}, "got 5"),
        ({"face": "1"}, "face is an integer, got '1'"),
        ({"keep_size": "no"}, "keep_size is True or False, got 'no'"),
        ({"reading": None}, "reading is a ReadOptions, got None"),
    ],
)
def test_a_framing_that_says_nothing_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        Framing(**options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"settings": "draft"}, r"got 'draft'; preset\('draft', 'W'\) makes them"),
        ({"settings": 3}, "settings are ProjectionSettings, got 3"),
        ({"perceptual": "lpips-alex"}, r"perceptual is a loaded distance, got 'lpips-alex'; load_"),
        ({"crop_perceptual": "lpips-alex"}, "crop_perceptual is a loaded distance"),
        ({"framing": "centre"}, "framing is a Framing, got 'centre'"),
    ],
)
def test_names_in_place_of_objects_are_refused_with_what_makes_them(
    options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        invert.project(GENERATOR, photo(), "W", **options)


def test_a_distribution_of_no_part_is_refused_before_it_is_computed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="got 'feature'; did you mean features"):
        GENERATOR.target_distribution("feature", 5, cache_dir=tmp_path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
    GENERATOR.target_distribution("features", 5, cache_dir=str(tmp_path))
    assert list(tmp_path.iterdir())
