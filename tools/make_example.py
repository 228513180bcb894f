"""Write examples/portrait.png: the face square of scikit-image's `astronaut`, at 1024×1024.

Needs scikit-image (`pip install scikit-image`), which carries the photograph; nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from skimage import data

from invert.images import crop_to, write_png

FACE = (138.8, 19.4, 173.0)  # x, y, side in pixels of the 512×512 original: the FFHQ alignment of this face
PORTRAIT = Path(__file__).resolve().parents[1] / "examples" / "portrait.png"


def main() -> None:
    write_png(crop_to(Image.fromarray(data.astronaut()), FACE, (1024, 1024)), PORTRAIT)


if __name__ == "__main__":
    main()
