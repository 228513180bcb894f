"""`invert canvas`: latents, or parts of them, laid on a canvas of any size. Users count in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

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


@click.command()
@click.argument("latents", nargs=-1, required=True, type=FILE)
@click.option(
    "--at",
    multiple=True,
    metavar="X,Y",
    help="Where its left upper corner goes. Side by side by default.",
)
@click.option(
    "--crop",
    multiple=True,
    metavar="X,Y,W,H",
    help="The part of it that is laid; `whole` is the default.",
)
@click.option(
    "--size", metavar="W,H", help="Of the canvas. By default it ends where the last latent ends."
)
@click.option(
    "--feather",
    type=click.FloatRange(min=0),
    help="Width of the soft seams; two feature cells by default.",
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
    """Lay latents on one canvas: one image, one latent.

    Each goes over those before it. All numbers are pixels; --at, --crop and --size are whole
    feature cells, 64 px in
    FNW5 of a 1024 px generator. Give --at and --crop once per latent, in their order. Latents need
    a space with
    features, like FNW5.

    \b
    Example:  invert canvas a.pt b.pt
              invert canvas a.pt b.pt --at 0,0 --at 768,0 --feather 256
              invert canvas a.pt b.pt --at 0,0 --at 512,128 --crop whole --crop 256,256,384,384
              invert canvas a.pt --crop 256,128,512,512 -o cut.png
              invert canvas a.pt --at 128,0 --size 1024,1024 -o shifted.png
    """
    from edits.canvas import Placement, place

    for option, values in (("--at", at), ("--crop", crop)):
        if values and len(values) != len(latents):
            raise UsageError(
                f"expected one {option} per latent, {len(latents)} of them, or none; got {len(values)}"
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
    grid = Grid.of(generator, points)
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
    """Feature cells of `cell` pixels; places and sizes are multiples of `step`, two cells where R_i
    has half.
    """

    cell: int
    step: int

    @classmethod
    def of(cls, generator: Generator, latents: Sequence[Latent]) -> Grid:
        """The cells of the latents' common space. Raises :class:`LatentError` for latents without
        features.
        """
        from edits.common_space import common_space

        space = common_space([latent.space for latent in latents])
        if space.layer is None:
            raise LatentError(
                f"{space} has no features to place; `invert convert --space FNW5` opens a latent there"
            )
        return cls(generator.cell(space), generator.step(space))

    def cells(self, option: str, pixels: Sequence[int]) -> list[int]:
        """Pixels in cells. Raises :class:`UsageError` with the nearest numbers that are whole
        cells.
        """
        if any(value % self.step for value in pixels):
            nearest = ",".join(str(round(value / self.step) * self.step) for value in pixels)
            unit = "feature cells" if self.step == self.cell else "pairs of feature cells"
            raise UsageError(
                f"{option} {','.join(map(str, pixels))}: expected whole {unit} of these latents, multiples of "
                f"{self.step} px; try {nearest}"
            )
        return [value // self.cell for value in pixels]
