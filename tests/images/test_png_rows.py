"""PNGs written row by row are read by Pillow as the same pixels."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from invert.errors import UsageError
from invert.images.png_rows import write_png_rows

PICTURES = {
    "noise": np.random.default_rng(0).integers(0, 256, (37, 23, 3), np.uint8),
    "ramp": (np.arange(37)[:, None, None] * 5 + np.arange(23)[:, None] * [1, 2, 7]).astype(
        np.uint8
    ),
    "flat": np.full((37, 23, 3), 255, np.uint8),
}


def written(picture: np.ndarray, heights: list[int], record: dict[str, str] | None = None) -> bytes:
    file = io.BytesIO()
    ends = np.cumsum(heights)
    strips = (picture[end - h : end] for h, end in zip(heights, ends, strict=True))
    write_png_rows(file, picture.shape[:2], strips, record)  # type: ignore[arg-type]
    return file.getvalue()


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("heights", [[37], [1] * 37, [16, 16, 5]])
def test_pillow_reads_the_same_pixels(name: str, heights: list[int]) -> None:
    with Image.open(io.BytesIO(written(PICTURES[name], heights))) as image:
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), PICTURES[name])


def test_every_filter_is_used_and_the_file_is_small() -> None:
    # Rows that repeat, columns that repeat, and a plane.
    y, x = np.mgrid[:40, :40]
    noise = np.random.default_rng(1).integers(0, 256, (40, 40))
    rows, columns = noise[:1] + 0 * y, noise[:, :1] + 0 * x
    picture = np.stack([np.concatenate([rows, columns, 3 * x + 2 * y])] * 3, -1).astype(np.uint8)
    assert len(written(picture, [120])) < 1200  # of 14 400 bytes


def test_the_record_is_read_again() -> None:
    with Image.open(io.BytesIO(written(PICTURES["flat"], [37], {"made_by": "é"}))) as image:
        assert json.loads(image.info["invert"]) == {"made_by": "é"}


def test_strips_that_do_not_fill_the_picture_are_refused() -> None:
    picture = PICTURES["noise"]
    with pytest.raises(UsageError, match="of 37 rows together, got 36"):
        written(picture, [16, 20])
    with pytest.raises(UsageError, match=r"expected strips uint8 \[h, 23, 3\]"):
        write_png_rows(io.BytesIO(), (37, 23), [picture[:, 1:]], None)
    with pytest.raises(UsageError, match="a PNG has 1 to"):
        write_png_rows(io.BytesIO(), (0, 23), [], None)
