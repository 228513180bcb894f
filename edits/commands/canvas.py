"""`invert canvas`: latents, or parts of them, on a canvas of any size. Users count in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from invert.commands.command import Command
from invert.commands.destinations import claim, with_twin
from invert.commands.opening import open_latents
from invert.commands.options import (
    FILE,
    device_option,
    force_option,
    latent_network_option,
    output_option,
    overwrite_option,
)
from invert.commands.parsing import parse_integers
from invert.commands.writing import write_edited
from invert.errors import LatentError, UsageError

if TYPE_CHECKING:
    from invert.generator import Generator
    from invert.latents.latent import Latent

WHOLE = "whole"


@click.command(cls=Command)
@click.argument("latents", nargs=-1, required=True, type=FILE)
@click.option(
    "--at",
    multiple=True,
    metavar="X,Y",
    help="Upper left corner of each latent. Default: side by side.",
)
@click.option(
    "--crop",
    multiple=True,
    metavar="X,Y,W,H",
    help="The part of each latent that is placed. Default: whole.",
)
@click.option(
    "--size", metavar="W,H", help="Size of the canvas. Default: as large as the latents need."
)
@click.option(
    "--feather",
    metavar="PIXELS",
    type=click.FloatRange(min=0),
    help="Width of the soft seams. Default: two feature cells.",
)
@output_option
@overwrite_option
@latent_network_option
@force_option
@device_option
def canvas(
    latents: tuple[Path, ...],
    at: tuple[str, ...],
    crop: tuple[str, ...],
    size: str | None,
    feather: float | None,
    output: Path | None,
    overwrite: bool,
    network: str | None,
    force: bool,
    device: str,
) -> None:
    """Place latents on a canvas of any size.

    The result is one latent and its picture; later latents cover earlier ones. The
    latents need a space with features, like FNW5.

    All numbers are pixels. --at, --crop and --size are multiples of a feature cell,
    64 pixels in FNW5 of a 1024-pixel generator. Give --at and --crop once per latent.

    \b
    Examples:
      invert canvas a.pt b.pt
      invert canvas a.pt b.pt --at 0,0 --at 768,0 --feather 256
      invert canvas a.pt b.pt --crop whole --crop 256,256,384,384
      invert canvas a.pt --crop 256,128,512,512 -o cut.png
      invert canvas a.pt --at 128,0 --size 1024,1024 -o shifted.png
    """
    from edits.canvas import Placement, place

    # All numbers, in pixels.
    for option, values in (("--at", at), ("--crop", crop)):
        if values and len(values) != len(latents):
            raise UsageError(
                f"expected one {option} per latent, {len(latents)} of them, or none; "
                f"got {len(values)}"
            )
    corners = [parse_integers("--at", "x,y", text) for text in at]
    crops = [
        None if text == WHOLE else parse_integers("--crop", "x,y,width,height", text)
        for text in crop
    ]
    wanted = parse_integers("--size", "width,height", size) if size else None

    files = with_twin(output or Path(f"{latents[0].with_suffix('')}.canvas.png"))
    destinations = claim("canvas", files, latents=latents, settings=[network], overwrite=overwrite)
    generator, points = open_latents(latents, network, device, force=force)
    grid = Grid.from_latents(generator, points)

    # In cells: each latent where it was put, or right of the one before.
    placements = []
    right = bottom = 0  # ends of all that is placed, in pixels
    for k, point in enumerate(points):
        whole = generator.check(point).image
        left, top, width, height = (crops[k] if crops else None) or (0, 0, whole[1], whole[0])
        x, y = corners[k] if corners else (right, 0)
        right, bottom = max(right, x + width), max(bottom, y + height)
        column, row = grid.cells("--at", (x, y))
        a, b, c, d = grid.cells("--crop", (left, top, width, height))
        placements.append(Placement(point, (column, row), (a, b, c, d)))

    columns, rows = grid.cells("--size", wanted or (right, bottom))
    try:
        result = place(generator, (columns, rows), placements, feather=feather)
    except UsageError as error:
        raise UsageError(f"{error}; a cell is {grid.cell} px") from error
    write_edited(generator, result, destinations)


@dataclass(frozen=True)
class Grid:
    """Feature cells of `cell` pixels.

    Corners and sizes are multiples of `step`: one cell, or two where R_i has half the size of F_i.
    """

    cell: int
    step: int

    @classmethod
    def from_latents(cls, generator: Generator, latents: Sequence[Latent]) -> Grid:
        """The cells of the latents' common space.

        Raises :class:`LatentError` for latents without features.
        """
        from edits.common_space import common_space

        space = common_space([latent.space for latent in latents])
        if space.layer is None:
            raise LatentError(
                f"{space} has no features to place; "
                "`invert convert --space FNW5` opens a latent there"
            )
        return cls(generator.cell(space), generator.step(space))

    def cells(self, option: str, pixels: Sequence[int]) -> list[int]:
        """Pixels in cells.

        Raises :class:`UsageError` with the nearest numbers that are whole cells.
        """
        if any(value % self.step for value in pixels):
            nearest = ",".join(str(round(value / self.step) * self.step) for value in pixels)
            unit = "feature cells" if self.step == self.cell else "pairs of feature cells"
            raise UsageError(
                f"{option} {','.join(map(str, pixels))}: expected whole {unit} of these latents, "
                f"multiples of {self.step} px; try {nearest}"
            )
        return [value // self.cell for value in pixels]
