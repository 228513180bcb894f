"""Put a photograph and what became of it side by side: python tools/make_photograph_picture.py
PICTURE….

Writes docs/images/FIRST.jpg, 1024 px wide, of the same square of all pictures.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
SQUARE = (60, 0, 360, 300)  # of astronaut.jpg: head and shoulders
WIDTH = 1024

if __name__ == "__main__":
    names = sys.argv[1:]
    side = WIDTH // len(names)
    sheet = Image.new("RGB", (side * len(names), side))
    for k, name in enumerate(names):
        with Image.open(name) as picture:
            tile = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS, box=SQUARE)
        sheet.paste(tile, (k * side, 0))
    sheet.save((FOLDER / Path(names[0]).name).with_suffix(".jpg"), quality=92, subsampling=0)
