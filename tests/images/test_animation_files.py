"""MP4 files hold the frames, their colours and their times. GIF and WebP are in test_images."""

from __future__ import annotations

import importlib.util
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from invert.errors import UsageError
from invert.images.images import write_animation

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (40, 90, 200), (250, 250, 250), (128, 128, 128)]
needs_encoder = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="MP4 needs PyAV")


@needs_encoder
@pytest.mark.parametrize("fps", [20, 23.976, 12.5])
def test_a_video_has_its_frames_their_colours_and_their_rate(tmp_path: Path, fps: float) -> None:
    import av

    write_animation(
        [Image.new("RGB", (66, 64), colour) for colour in COLOURS], tmp_path / "a.mp4", fps=fps
    )
    with av.open(tmp_path / "a.mp4") as container:
        stream = container.streams.video[0]
        frames = list(container.decode(video=0))
        assert stream.average_rate == Fraction(fps).limit_denominator(1000)
        assert float(stream.duration * stream.time_base) == pytest.approx(
            len(COLOURS) / fps, abs=1e-3
        )
    assert len(frames) == len(COLOURS)
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert np.abs(np.asarray(frame.to_image()).astype(int) - colour).max() <= 4


@needs_encoder
def test_luma_is_that_of_the_colour_space_that_the_file_names(tmp_path: Path) -> None:
    import av

    write_animation([Image.new("RGB", (64, 64), colour) for colour in COLOURS], tmp_path / "a.mp4")
    with av.open(tmp_path / "a.mp4") as container:
        frames = list(container.decode(video=0))
    for frame, (r, g, b) in zip(frames, COLOURS, strict=True):
        assert (frame.colorspace, frame.color_range) == (1, 1)  # BT.709, 16 to 235
        luma = 16 + 219 / 255 * (0.2126 * r + 0.7152 * g + 0.0722 * b)
        assert np.abs(frame.to_ndarray()[:64].astype(float) - luma).max() <= 2


@needs_encoder
def test_an_odd_row_or_column_is_left_out(tmp_path: Path) -> None:
    import av

    write_animation([Image.new("RGB", (33, 17))], tmp_path / "a.mp4")
    with av.open(tmp_path / "a.mp4") as container:
        assert [(frame.width, frame.height) for frame in container.decode(video=0)] == [(32, 16)]


def test_without_the_encoder_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)  # as if it were not installed
    with pytest.raises(
        UsageError, match=r"a\.mp4: MP4 needs PyAV; pip install 'invert\[video\]', or use \.webp"
    ):
        write_animation([Image.new("RGB", (32, 16))], tmp_path / "a.mp4")
