"""A contact sheet: pictures in labelled rows and columns, with text under each.

Text is ASCII: Pillow's own font has few other characters.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from invert.errors import UsageError
from invert.files.atomic_files import write_atomically
from invert.images.images import to_pil

TILE = 256  # height of a picture in pixels
GAP = 6
PAPER = (236, 236, 236)  # white pictures have an edge on it
FONT, SPACING = 13, 2
LINE = 17  # height of a line of text with its spacing
QUALITIES = (90, 85, 80, 75, 70, 60, 50, 40)
MAX_BYTES = 300_000

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Tile:
    """One picture [1, 3, H, W] in [−1, 1], or any PIL image, and the text under it."""

    picture: Tensor | Image.Image
    caption: str = ""


@dataclass
class Sheet:
    """Rows of tiles; None leaves a place empty. Labels are over the columns and above each row."""

    columns: Sequence[str] = ()
    tile: int = TILE
    rows: list[tuple[str, list[Tile | None]]] = field(default_factory=list)

    def row(self, label: str, *tiles: Tile | Tensor | Image.Image | None) -> None:
        """Add a row. Bare pictures get no caption."""
        self.rows.append(
            (label, [t if t is None or isinstance(t, Tile) else Tile(t) for t in tiles])
        )

    def draw(self) -> Image.Image:
        """The sheet as one picture. Raises :class:`UsageError` when nothing is on it."""
        pictures = [
            [None if t is None else scaled(t.picture, self.tile) for t in tiles]
            for _, tiles in self.rows
        ]
        if not any(picture for row in pictures for picture in row):
            raise UsageError("expected at least one picture on a sheet, got none")
        count = max(len(row) for row in pictures)
        columns_of = [[p for row in pictures for p in row[k : k + 1] if p] for k in range(count)]
        widths = [max((p.width for p in column), default=0) for column in columns_of]
        lefts = [GAP + sum(widths[:k]) + k * GAP for k in range(count)]
        font = ImageFont.load_default(FONT)

        def wrapped(texts: Sequence[str]) -> list[str]:
            return [wrap(text, width, font) for text, width in zip(texts, widths, strict=False)]

        columns = wrapped(self.columns)
        captions = [wrapped([t.caption if t else "" for t in tiles]) for _, tiles in self.rows]
        top = line_count(columns) * LINE + GAP
        heights = [
            (LINE if label else 0) + self.tile + line_count(texts) * LINE + GAP
            for (label, _), texts in zip(self.rows, captions, strict=True)
        ]
        sheet = Image.new("RGB", (lefts[-1] + widths[-1] + GAP, top + sum(heights)), PAPER)
        pen = ImageDraw.Draw(sheet)
        for left, text in zip(lefts, columns, strict=False):
            pen.multiline_text((left, 2), text, "black", font, spacing=SPACING)
        for (label, _), row, texts, height in zip(
            self.rows, pictures, captions, heights, strict=True
        ):
            pen.text((GAP, top), label, "black", font)
            y = top + (LINE if label else 0)
            for left, picture, text in zip(lefts, row, texts, strict=False):
                if picture is not None:
                    sheet.paste(picture, (left, y))
                    pen.multiline_text((left, y + self.tile), text, "black", font, spacing=SPACING)
            top += height
        return sheet

    def save(self, path: Path) -> None:
        """Write a JPEG, at the best quality with which it has at most 300 kB."""
        picture = self.draw()
        for quality in QUALITIES:
            encoded = io.BytesIO()
            picture.save(encoded, format="JPEG", quality=quality, optimize=True)
            if encoded.tell() <= MAX_BYTES:
                break
        write_atomically(path, lambda f: f.write(encoded.getvalue()))


def scaled(picture: Tensor | Image.Image, height: int) -> Image.Image:
    """The picture at a height in pixels, its proportions kept."""
    image = to_pil(picture)[0] if isinstance(picture, Tensor) else picture.convert("RGB")
    if image.height == height:
        return image
    return image.resize(
        (max(1, round(image.width * height / image.height)), height), Image.Resampling.LANCZOS
    )


def wrap(text: str, width: int, font: Font) -> str:
    """The text with its lines broken between words where they are wider than `width` pixels."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and font.getlength(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)


def line_count(texts: Sequence[str]) -> int:
    """Lines of the longest text; 0 where all are empty."""
    return max((text.count("\n") + 1 for text in texts if text), default=0)
