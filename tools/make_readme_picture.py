"""Scale pictures for the README: python tools/make_readme_picture.py portrait.compare.png
portrait.smile.strip.png.

Writes docs/images/NAME at a width of 1024 px, without ".strip".
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from invert.images.images import write_png

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTH = 1024

if __name__ == "__main__":
    for name in sys.argv[1:]:
        with Image.open(name) as picture:
            size = (WIDTH, round(picture.height * WIDTH / picture.width))
            small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        write_png(small, FOLDER / Path(name).name.replace(".strip", ""))
