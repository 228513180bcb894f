"""Faces in photographs and five landmarks of each: MTCNN.

Three networks, each looking closer at the boxes that the one before let pass. The first slides over
an image pyramid in steps of two pixels. The others see each box at 24 and 48 px, correct it, and
drop it if it holds no face; the last one adds landmarks. K. Zhang et al., "Joint Face Detection and
Alignment using Multi-task Cascaded Convolutional Networks", 2016, arXiv:1604.02878. Rounding
follows the original release, so that its numbers come out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from invert.errors import ModelFileError
from invert.images.images import to_tensor
from invert.weights import ensure

# Sides of the max pools of each network, all of stride 2.
POOLS: Mapping[str, tuple[int, ...]] = {"pnet": (2,), "rnet": (3, 3), "onet": (3, 3, 2)}
WINDOW, STRIDE = 12, 2  # pixels: the first network's field of view, and its steps
SHRINK = 0.709  # scale from one level of the pyramid to the next: half of the area
# Pixels of the longer side. Larger photographs are reduced first; the faces that are lost would be
# too small to use.
LONGEST = 1280
SMALLEST = 20  # pixels a side of the smallest face, in the reduced photograph
PASS = (0.6, 0.7, 0.7)  # probability that a box needs to pass each network
BATCH = 512  # boxes at once

# Left and right as in the picture, not of the person.
LANDMARKS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")


@dataclass(frozen=True)
class Face:
    """A face in a photograph, in pixels.

    box        (left, top, right, bottom)
    score      probability of a face
    landmarks  (x, y) of each of `LANDMARKS`
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[tuple[float, float], ...]


class FaceDetector:
    """MTCNN with the tensors of `invert.weights.mtcnn`, all of which it needs.

    Raises :class:`ModelFileError` when one is missing.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = dict(tensors)
        for name, pools in POOLS.items():
            layers = [f"conv{k}" for k in range(len(pools) + 2)] + ["head"]
            wanted = {f"{name}.{layer}.{part}" for layer in layers for part in ("weight", "bias")}
            wanted |= {f"{name}.slope{k}" for k in range(len(pools) + 2)}
            if missing := wanted - set(tensors):
                raise ModelFileError(f"not weights of MTCNN: no {min(missing)}")

    def __call__(self, picture: Image.Image) -> list[Face]:
        """The faces of an RGB picture, from left to right."""
        # Detect in the reduced picture.
        factor = max(1.0, max(picture.size) / LONGEST)
        width, height = (max(1, round(side / factor)) for side in picture.size)
        reduced = picture.resize((width, height), Image.Resampling.BOX) if factor > 1 else picture
        with torch.inference_mode():
            boxes, scores, points = self.find(to_tensor(reduced))

        # Back to pixels of the photograph.
        scale = torch.tensor([picture.width / width, picture.height / height], dtype=torch.float32)
        boxes, points = boxes * scale.repeat(2), points * scale
        faces = [
            Face((left, top, right, bottom), score, tuple((x, y) for x, y in landmarks))
            for (left, top, right, bottom), score, landmarks in zip(
                boxes.tolist(), scores.tolist(), points.tolist(), strict=True
            )
        ]
        return sorted(faces, key=lambda face: face.box[0] + face.box[2])

    def find(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes [N, 4], probabilities [N] and landmarks [N, 5, 2].

        `image` is [1, 3, H, W] in [−1, 1].
        """
        boxes = self.propose(image)

        # The second network corrects the boxes.
        boxes, scores, output = self.look("rnet", image, boxes, 24, PASS[1])
        best = nms(boxes, scores, 0.7)
        boxes = square(shift_sides(boxes[best], output[best, 1:5]))

        # The third one too, and gives landmarks in shares of the box's size.
        boxes, scores, output = self.look("onet", image, boxes, 48, PASS[2])
        size = boxes[:, 2:] - boxes[:, :2] + 1
        points = (
            output[:, 5:].unflatten(1, (2, 5)).transpose(1, 2) * size[:, None]
            + boxes[:, None, :2]
            - 1
        )
        boxes = shift_sides(boxes, output[:, 1:5])

        apart = suppress_overlaps(boxes, scores, 0.7)
        return boxes[apart], scores[apart], points[apart]

    def propose(self, image: Tensor) -> Tensor:
        """Square boxes [N, 4] that may hold faces, of `SMALLEST` pixels up to the whole image."""
        height, width = image.shape[2:]
        scale, levels = WINDOW / SMALLEST, [torch.empty(0, 9, dtype=torch.float32)]

        # One level of the pyramid after the other.
        while min(height, width) * scale >= WINDOW:
            size = (int(height * scale + 1), int(width * scale + 1))
            output = self.run("pnet", F.interpolate(image, size=size, mode="area"))[0]
            score = output[0].sigmoid()

            # Each place that passes is a box of WINDOW pixels of this level.
            y, x = (score >= PASS[0]).nonzero(as_tuple=True)
            corner = torch.stack([x, y], 1).float() * STRIDE
            boxes = torch.cat([(corner + 1) / scale, (corner + WINDOW) / scale], 1).floor()
            level = torch.cat([boxes, score[y, x, None], output[1:, y, x].T], 1)
            levels.append(level[nms(boxes, level[:, 4], 0.5)])
            scale *= SHRINK

        # All levels together, corrected by the network's own shifts.
        rows = torch.cat(levels)  # [N, 9]: box, score, shifts
        boxes, _, shifts = rows[nms(rows[:, :4], rows[:, 4], 0.7)].split((4, 1, 4), 1)
        return square(boxes + shifts * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2))

    def look(
        self, name: str, image: Tensor, boxes: Tensor, side: int, least: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The boxes that pass a network, their probabilities and its outputs.

        The network sees each box at `side` px and lets it pass above the probability `least`.
        """
        # Whole pixels inside the image; boxes outside are dropped.
        left, top = boxes[:, :2].trunc().int().clamp(min=1).unbind(1)
        right, bottom = (
            b.trunc().int().clamp(max=k)
            for b, k in zip(boxes[:, 2:].T, image.shape[:1:-1], strict=True)
        )
        inside = (right >= left) & (bottom >= top)
        windows = torch.stack([left, top, right, bottom], 1)[inside].tolist()

        # The network's outputs, batch by batch.
        patches = [
            F.interpolate(image[..., t - 1 : b, le - 1 : r], size=(side, side), mode="area")
            for le, t, r, b in windows
        ]
        batches = torch.cat([image.new_empty(0, 3, side, side), *patches]).split(BATCH)
        output = torch.cat([self.run(name, batch).flatten(1) for batch in batches])

        score = output[:, 0].sigmoid()
        passes = score > least
        return boxes[inside][passes], score[passes], output[passes]

    def run(self, name: str, x: Tensor) -> Tensor:
        """One network's outputs [N, C, H, W] for images in [−1, 1].

        Channels: the logit of a face, four shifts of the box's sides, five x and five y of
        landmarks.
        """
        t, pools = self.tensors, POOLS[name]
        x = x * (127.5 / 128)
        for k in range(len(pools) + 2):
            x = F.prelu(
                F.conv2d(x, t[f"{name}.conv{k}.weight"], t[f"{name}.conv{k}.bias"]),
                t[f"{name}.slope{k}"],
            )
            if k < len(pools):
                x = F.max_pool2d(x, pools[k], 2, ceil_mode=True)
        return F.conv2d(x, t[f"{name}.head.weight"], t[f"{name}.head.bias"])


def square(boxes: Tensor) -> Tensor:
    """Squares around the same centres, with the longer side."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.amax(1, keepdim=True)
    corner = boxes[:, :2] + size * 0.5 - side * 0.5
    return torch.cat([corner, corner + side], 1)


def shift_sides(boxes: Tensor, shifts: Tensor) -> Tensor:
    """Boxes whose sides are moved by shifts [N, 4], given in widths and heights."""
    return boxes + shifts * (boxes[:, 2:] - boxes[:, :2] + 1).repeat(1, 2)


def nms(boxes: Tensor, scores: Tensor, most: float) -> Tensor:
    """Non-maximum suppression: the indices of boxes, best first, without those that overlap a
    better one.

    Two boxes overlap when they share more than `most` of their union. The same as
    torchvision.ops.nms, whose import takes longer than all of the detection.
    """
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    rest = scores.argsort(descending=True, stable=True)
    best: list[Tensor] = []

    while len(rest):
        k, rest = rest[0], rest[1:]
        best.append(k)
        low, high = boxes[rest, :2].maximum(boxes[k, :2]), boxes[rest, 2:].minimum(boxes[k, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        overlap = shared / (area[k] + area[rest] - shared)
        rest = rest[~(overlap.double() > most)]

    return torch.stack(best) if best else rest


def suppress_overlaps(boxes: Tensor, scores: Tensor, most: float) -> list[int]:
    """The indices of boxes, best first, without those that overlap a better one.

    Two boxes overlap when they share more than `most` of the smaller one's area.
    """
    area = (boxes[:, 2:] - boxes[:, :2] + 1).prod(1)
    best: list[int] = []

    for k in scores.argsort(descending=True).tolist():
        low, high = boxes[best, :2].maximum(boxes[k, :2]), boxes[best, 2:].minimum(boxes[k, 2:])
        shared = (high - low + 1).clamp(min=0).prod(1)
        if bool((shared <= most * area[best].minimum(area[k])).all()):
            best.append(k)

    return best


@cache
def face_detector() -> FaceDetector:
    """The detector; its weights are fetched on first use (`invert.weights`)."""
    return FaceDetector(load_file(ensure("mtcnn")))
