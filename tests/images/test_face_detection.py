"""MTCNN's networks are those of their package, and its cascade finds what the original finds."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from invert.errors import ModelFileError
from invert.images.alignment import ffhq_square
from invert.images.face_detection import (
    FaceDetector,
    face_detector,
    nms,
    shift_sides,
    square,
    suppress_overlaps,
)
from invert.images.face_turns import faces_any_way_up
from invert.images.images import read_image
from invert.weights import mtcnn

PORTRAIT = Path(__file__).parents[2] / "examples" / "portrait.png"
CHANNELS = {"pnet": (10, 16, 32), "rnet": (28, 48, 64, 128), "onet": (32, 64, 64, 128, 256)}
OUTPUTS = (2, 4, 10)


def random_state(name: str) -> dict[str, Tensor]:
    """A state dictionary with the package's names and shapes."""
    random = torch.Generator().manual_seed(len(name) + ord(name[0]))
    state, before = {}, 3
    layers, sides, heads = mtcnn.LAYOUTS[name]
    for layer, side, channels in zip(layers, sides, CHANNELS[name], strict=True):
        dense = layer.startswith("dense")
        shape = (channels, before * side * side) if dense else (channels, before, side, side)
        state[f"{layer}.weight"] = (
            torch.randn(shape, generator=random) / (before * side * side) ** 0.5
        )
        state[f"{layer}.bias"] = torch.randn(channels, generator=random) / 10
        slope = layer.replace("conv", "prelu").replace("dense", "prelu")
        state[f"{slope}.weight"] = torch.rand(channels, generator=random)
        before = channels
    for head, outputs in zip(heads, OUTPUTS, strict=False):
        shape = (outputs, before, 1, 1) if name == "pnet" else (outputs, before)
        state[f"{head}.weight"] = torch.randn(shape, generator=random) / before**0.5
        state[f"{head}.bias"] = torch.randn(outputs, generator=random) / 10
    return state


def saved(state: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector(
        mtcnn.convert({f"data/{name}.pt": saved(random_state(name)) for name in CHANNELS})
    )


@pytest.mark.parametrize(("name", "side"), [("rnet", 24), ("onet", 48)])
def test_dense_layers_read_the_map_in_the_packages_order(
    name: str, side: int, detector: FaceDetector
) -> None:
    state, x = (
        random_state(name),
        torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(0)),
    )
    found = detector.run(name, x).flatten(1)
    x = x * 127.5 / 128
    *convolutions, dense = mtcnn.LAYOUTS[name][0]
    for k, layer in enumerate(convolutions):
        x = F.conv2d(x, state[f"{layer}.weight"], state[f"{layer}.bias"])
        x = F.prelu(x, state[f"prelu{layer[-1]}.weight"])
        if k < len(convolutions) - 1:
            x = F.max_pool2d(x, 2 if k == 2 else 3, 2, ceil_mode=True)
    x = F.linear(x.permute(0, 3, 2, 1).flatten(1), state[f"{dense}.weight"], state[f"{dense}.bias"])
    x = F.prelu(x, state[f"prelu{dense[-1]}.weight"])
    heads = [F.linear(x, state[f"{h}.weight"], state[f"{h}.bias"]) for h in mtcnn.LAYOUTS[name][2]]
    torch.testing.assert_close(found[:, 0].sigmoid(), heads[0].softmax(1)[:, 1])
    torch.testing.assert_close(found[:, 1:], torch.cat(heads[1:], 1))


@pytest.mark.parametrize(
    "content", [b"", b"no weights", saved([1]), saved({"conv1.weight": torch.zeros(1, 3, 3, 3)})]
)
def test_a_member_that_is_no_state_dictionary_of_mtcnn_is_refused(content: bytes) -> None:
    with pytest.raises(ModelFileError, match=r"data/pnet\.pt: not weights of MTCNN"):
        mtcnn.convert({"data/pnet.pt": content})


def test_tensors_of_something_else_are_refused() -> None:
    with pytest.raises(ModelFileError, match="not weights of MTCNN: no pnet"):
        FaceDetector({"conv0.weight": torch.zeros(1)})


def test_pictures_too_small_for_a_face_have_none(detector: FaceDetector) -> None:
    for size in ((1, 1), (19, 400)):
        assert detector(Image.new("RGB", size)) == []


def test_faces_are_given_from_left_to_right_with_five_landmarks(detector: FaceDetector) -> None:
    lenient = dict(detector.tensors)
    for name in CHANNELS:
        bias = lenient[f"{name}.head.bias"]
        lenient[f"{name}.head.bias"] = bias + 5 * (torch.arange(len(bias)) == 0)
    pixels = torch.randint(
        0, 256, (90, 120, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    faces = FaceDetector(lenient)(Image.fromarray(pixels.numpy()))  # takes noise for faces
    middles = [face.box[0] + face.box[2] for face in faces]
    assert len(faces) > 1
    assert middles == sorted(middles)
    assert {len(face.landmarks) for face in faces} == {5}
    assert all(0.7 < face.score <= 1 for face in faces)


def test_boxes_become_square_around_their_centres() -> None:
    assert square(torch.tensor([[0.0, 10, 20, 20]])).tolist() == [[0, 5, 20, 25]]


def test_shifts_are_given_in_widths_and_heights() -> None:
    boxes, shifts = torch.tensor([[10.0, 10, 29, 49]]), torch.tensor([[0.5, -0.25, 0, 0.25]])
    assert shift_sides(boxes, shifts).tolist() == [[20, 0, 29, 59]]


def test_of_boxes_that_hold_each_other_the_best_stays() -> None:
    boxes = torch.tensor(
        [[0.0, 0, 100, 100], [40, 40, 60, 60], [200, 0, 300, 100], [280, 0, 380, 100]]
    )
    assert suppress_overlaps(boxes, torch.tensor([0.8, 0.9, 0.7, 0.95]), 0.7) == [3, 1, 2]
    assert suppress_overlaps(boxes[:0], torch.empty(0), 0.7) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("degrees", "turned"), [(0, 0), (20, 0), (45, 0), (90, 270), (180, 180), (270, 90)]
)
def test_a_real_face_is_found_whichever_way_up_it_is(degrees: int, turned: int) -> None:
    photograph = read_image(PORTRAIT.with_name("astronaut.jpg"))
    photograph.thumbnail((640, 640))
    faces, found = faces_any_way_up(face_detector(), photograph.rotate(degrees, expand=True))
    assert found == turned
    square = ffhq_square(max(faces, key=lambda face: face.score))
    assert square.side == pytest.approx(170, rel=0.1)
    angle = math.degrees(math.atan2(-square.right[1], square.right[0]))
    assert abs((angle - degrees + 180) % 360 - 180) < 10


@pytest.mark.slow
def test_the_portrait_has_the_face_that_the_original_package_finds() -> None:
    [face] = face_detector()(Image.open(PORTRAIT))
    assert face.box == pytest.approx((234.863, 244.766, 758.267, 912.336), abs=0.01)
    assert face.score == pytest.approx(0.99981, abs=1e-5)
    expected = [
        (386.179, 483.726),
        (642.169, 498.473),
        (513.886, 649.574),
        (370.62, 710.014),
        (632.346, 723.809),
    ]
    for point, wanted in zip(face.landmarks, expected, strict=True):
        assert point == pytest.approx(wanted, abs=0.01)
    square = ffhq_square(face)  # the portrait is such a square already
    assert square.side == pytest.approx(1024, rel=0.01)
    assert square.centre == pytest.approx((512, 512), abs=25)


@pytest.mark.parametrize("most", [0.5, 0.7])
@pytest.mark.parametrize("count", [0, 1, 300])
def test_non_maximum_suppression_is_that_of_torchvision(count: int, most: float) -> None:
    from torchvision.ops import nms as original

    random = torch.Generator().manual_seed(count)
    corner, size = (
        torch.rand(2, count, 2, generator=random).mul(40).round()
    )  # so that some are equal
    boxes = torch.cat([corner, corner + size], 1)
    scores = torch.rand(count, generator=random).mul(50).round() / 50
    assert nms(boxes, scores, most).tolist() == original(boxes, scores, most).tolist()
