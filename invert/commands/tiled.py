"""Pictures that are rendered and written in tiles, in the memory of one row of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from invert.commands.bars import counted
from invert.commands.destinations import Destinations
from invert.commands.terminal import say

if TYPE_CHECKING:
    from invert.generator import Generator
    from invert.networks.network import Size
    from invert.tiling.parts import Parts


def write_tiled(
    generator: Generator,
    parts: Parts,
    size: Size,
    destinations: Destinations,
    record: Mapping[str, Any],
) -> None:
    """Write the picture of a point, (height, width) px from its origin, as a PNG.

    It is first written to a file without a name, which a kill or an interrupt takes away, and comes
    into place when it is whole.
    """
    import numpy as np

    from invert.images.images import to_pil
    from invert.images.png_rows import write_png_rows
    from invert.tiling.tiles import TILE, render_rows

    [path] = destinations.outputs
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = render_rows(generator.network, parts, size)
    strips = (np.asarray(to_pil(strip)[0]) for strip in counted(rows, -(-size[0] // TILE), "row"))

    with tempfile.TemporaryFile(dir=path.parent) as picture:
        write_png_rows(picture, size, strips, record)

        def copy(file: IO[bytes]) -> None:
            picture.seek(0)
            shutil.copyfileobj(picture, file)

        destinations.write({path: copy})
    say(path)
