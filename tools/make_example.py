"""Write examples/astronaut.jpg, scikit-image's `astronaut`, and examples/portrait.png: her face at
1024×1024.

Needs scikit-image (`pip install scikit-image`), which carries the photograph; nothing is
downloaded.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from skimage import data

from invert.images.crops import crop_to
from invert.images.images import write_png

# x, y, side in pixels of the 512×512 original: the FFHQ alignment of this face
FACE = (138.8, 19.4, 173.0)
FOLDER = Path(__file__).resolve().parents[1] / "examples"


def main() -> None:
    photograph = Image.fromarray(data.astronaut())
    photograph.save(FOLDER / "astronaut.jpg", quality=92, subsampling=0)
    write_png(crop_to(photograph, FACE, (1024, 1024)), FOLDER / "portrait.png")


if __name__ == "__main__":
    main()
