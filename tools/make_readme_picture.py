"""Scale a projection's comparison for the README: python tools/make_readme_picture.py portrait.compare.png.

Writes docs/images/portrait.compare.png at a third of the size.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from invert.images import write_png

if __name__ == "__main__":
    with Image.open(sys.argv[1]) as picture:
        small = picture.convert("RGB").resize((picture.width // 3, picture.height // 3), Image.Resampling.LANCZOS)
    write_png(small, Path(__file__).parent.parent / "docs" / "images" / "portrait.compare.png")
