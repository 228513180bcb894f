"""Parts of the plane of a seed: pictures of any size, and ways over it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from invert.commands.bars import counted
from invert.commands.destinations import Destinations
from invert.commands.parsing import check_range, parse_integers
from invert.commands.terminal import say
from invert.commands.tiled import write_tiled
from invert.errors import SpaceError, UsageError

if TYPE_CHECKING:
    from invert.generator import Generator
    from invert.latents.spaces import Space
    from invert.networks.network import Size
    from invert.networks.windows import Window
    from invert.tiling.placed_parts import PlacedParts

SIZE = re.compile(r"(\d{1,10})(?:[x×,](\d{1,10}))?")
MAX_WAY = 10**9  # pixels of a pan


@dataclass(frozen=True)
class View:
    """What is shown of a plane: its top left of `size`, or a way that starts there.

    size       (height, width) in pixels; None is that of the training images
    way        (dx, dy): how far an animation travels; None for a picture
    count      frames of the animation
    fps        its frames per second
    animation  its format
    """

    size: Size | None
    way: tuple[int, int] | None
    count: int
    fps: float
    animation: str

    def file(self, picture: Path) -> Path:
        """The name of the file of a view, beside that of a whole picture."""
        if self.way is not None:
            return picture.with_suffix(f".pan.{self.animation}")
        assert self.size is not None
        return picture.with_suffix(f".{self.size[1]}x{self.size[0]}.png")

    def windows(self, size: Size) -> list[Window]:
        """The frames of the way, in whole pixels."""
        from invert.networks.windows import Window

        assert self.way is not None
        height, width = size
        places = []
        for k in range(self.count):
            x, y = (round(way * k / (self.count - 1)) for way in self.way)
            places.append(Window((y, y + height), (x, x + width)))
        return places


def parse_view(
    size: str | None, pan: str | None, count: int, fps: float, animation: str
) -> View | None:
    """What --size and --pan ask for; None without either.

    Raises :class:`UsageError` for texts that are no size and no way, and for frames that are too
    large or cannot be written.
    """
    if size is None and pan is None:
        return None
    from invert.arguments import MAX_PIXELS
    from invert.images.png_rows import MAX_SIDE
    from invert.tiling.parts import MAX_TILED_PIXELS

    # One number is a square.
    shape = None
    if size is not None:
        match = SIZE.fullmatch(size.strip().lower())
        if match is None:
            raise UsageError(f"expected --size WxH in pixels, like 8192x4096; got {size!r}")
        width, height = int(match[1]), int(match[2] or match[1])
        for name, side in (("the width", width), ("the height", height)):
            check_range(f"{name} of --size", side, 1, MAX_SIDE)
        most = MAX_TILED_PIXELS if pan is None else MAX_PIXELS
        check_range("the number of pixels of --size", width * height, 1, most)
        shape = height, width
    if pan is None:
        return View(shape, None, count, fps, animation)

    from invert.images.animation_files import check_animation

    dx, dy = parse_integers("--pan", "dx,dy", pan)
    check_range("the way of --pan", max(abs(dx), abs(dy)), 1, MAX_WAY)
    check_range("frames", count, 2, 10_000)
    check_animation(f"pan.{animation}", fps)
    return View(shape, (dx, dy), count, fps, animation)


def plane(
    generator: Generator,
    seed: int,
    space: Space | None,
    *,
    psi: float,
    label: int | None,
    noise: Any,
    style_every: int | None = None,
) -> PlacedParts:
    """The plane of a seed, in the space that the user typed.

    Raises :class:`UsageError` for a generator with a learned constant, :class:`SpaceError` for a
    space without the generator's F_i.
    """
    from invert.tiling.placed_parts import plane_of_seed

    first = generator.network.first
    if first > 1 and space is not None and space.layer != first:
        raise SpaceError(
            f"the plane of a seed starts from F_{first}: its space is FNW{first} or FNZ{first}, "
            f"got {space}"
        )
    base: Literal["Z", "W"] = "Z" if space is not None and space.base == "Z" else "W"
    return plane_of_seed(
        generator,
        seed,
        space=base,
        psi=psi,
        label=label,
        noise=noise,
        style_every=style_every,
    )


def write_view(
    generator: Generator, parts: PlacedParts, view: View, destinations: Destinations
) -> None:
    """Write a picture in tiles, or an animation."""
    size = view.size or generator.image_size
    if view.way is None:
        write_tiled(generator, parts, size, destinations, destinations.record)
        return

    from invert.images.images import to_pil, write_animation
    from invert.tiling.tiles import render_window

    windows = counted(view.windows(size), view.count, "frame")
    frames = [to_pil(render_window(generator.network, parts, w).cpu())[0] for w in windows]
    path = destinations.ready()
    write_animation(frames, path, fps=view.fps, record=destinations.record)
    say(path)
