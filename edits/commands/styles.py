"""`invert style-mix`, `interpolate` and `combine`: latents by layer, in between, in sums."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from invert.commands.bars import counted
from invert.commands.command import Command, Renamed
from invert.commands.destinations import Destinations, claim, with_suffix_of, with_twin
from invert.commands.opening import DEFAULT_NETWORK, open_latents
from invert.commands.options import (
    FILE,
    class_option,
    device_option,
    force_option,
    output_option,
    overwrite_option,
    point_network_option,
    psi_option,
)
from invert.commands.parsing import (
    Point,
    check_range,
    parse_point,
    parse_points,
    parse_seeds,
    parse_styles,
    styles_of_layers,
)
from invert.commands.terminal import say
from invert.commands.writing import write_edited, write_pictures
from invert.errors import UsageError


@click.command(
    "style-mix", cls=Command, renamed={"--layers": Renamed("--styles", styles_of_layers)}
)
@click.argument("points", nargs=-1, required=True, metavar="A… [B]")
@click.option(
    "--styles",
    metavar="A-B|NAME",
    required=True,
    help="Styles that come from B: 0-7 (both included), coarse, middle or fine.",
)
@click.option(
    "--matrix",
    metavar="B,…",
    help="One picture: every A (rows) with the styles of every B (columns).",
)
@click.option(
    "--sample",
    metavar="SEEDS",
    help="Sample the styles instead of taking B's. Several seeds give a row of pictures.",
)
@psi_option
@class_option
@output_option
@overwrite_option
@point_network_option
@force_option
@device_option
def style_mix(
    points: tuple[str, ...],
    styles: str,
    matrix: str | None,
    sample: str | None,
    psi: float,
    label: int | None,
    output: Path | None,
    overwrite: bool,
    network: str | None,
    force: bool,
    device: str,
) -> None:
    """Give A a range of the styles of B.

    A and B are latent files or seeds. --matrix shows all pairs of two lists
    (Heljakka 2020, figure 14). --sample draws styles at random, which shows
    what A's other styles leave open (figure 18 there).

    \b
    Examples:
      invert style-mix a.pt b.pt --styles fine
      invert style-mix 1-3 a.pt --matrix 4-6,b.pt --styles coarse -o m.png
      invert style-mix a.pt --sample 0-4 --styles middle -o row.png
    """
    from edits.style_mixing import resample
    from edits.style_mixing import style_mix as mixed
    from invert.latents.layer_ranges import style_range

    # What comes from where.
    rows = parse_points(points)
    columns = parse_points([matrix]) if matrix else []
    seeds = parse_seeds(sample) if sample else []
    check_style_mix(rows, columns, seeds)

    # One sheet of pictures, or one latent and its picture.
    name, files = stem(rows[0]), tuple[Path, ...]()
    if columns or len(seeds) > 1:
        files = (
            with_suffix_of(
                output or Path(f"{name}.{styles}.{'matrix' if columns else 'samples'}.png"), ".png"
            ),
        )
    elif seeds:
        files = with_twin(output or Path(f"{name}.{styles}-sample{seeds[0]:04d}.png"))
    else:
        files = with_twin(output or Path(f"{name}.{styles}-{stem(rows[1]).name}.png"))
    destinations = claim_points("style-mix", files, [*rows, *columns, *seeds], network, overwrite)

    generator, latents = open_latents(
        [*rows, *columns], network, device, force=force, psi=psi, label=label
    )
    chosen = style_range(generator.network, parse_styles(styles))
    a = latents[0]
    if columns:
        left, top = latents[: len(rows)], latents[len(rows) :]
        cells = [
            None,
            *top,
            *(x for a in left for x in (a, *(mixed(generator, a, b, chosen) for b in top))),
        ]
        write_pictures(generator, cells, len(top) + 1, destinations)
    elif seeds:
        drawn = [resample(generator, a, chosen, seed, psi=psi, label=label) for seed in seeds]
        if len(drawn) > 1:
            write_pictures(generator, [a, *drawn], len(drawn) + 1, destinations)
        else:
            write_edited(generator, drawn[0], destinations)
    else:
        write_edited(generator, mixed(generator, a, latents[1], chosen), destinations)


def check_style_mix(rows: Sequence[Point], columns: Sequence[Point], seeds: Sequence[int]) -> None:
    """Raise :class:`UsageError` unless there are A and B, a matrix of both, or one A to sample
    from.
    """
    if columns and seeds:
        raise UsageError("--matrix and --sample exclude each other; leave one out")
    if seeds and len(rows) != 1:
        raise UsageError(f"--sample takes one latent or seed, got {len(rows)}")
    if not columns and not seeds and len(rows) != 2:
        raise UsageError(
            f"expected two latents or seeds, A and B, got {len(rows)}; several need --matrix"
        )


@click.command(cls=Command)
@click.argument("a")
@click.argument("b")
@click.option(
    "--frames", "count", metavar="N", default=60, show_default=True, help="Number of frames."
)
@click.option("--fps", metavar="RATE", default=20.0, show_default=True, help="Frames per second.")
@click.option(
    "--travel",
    type=click.Choice(["right", "left", "down", "up"]),
    help="Bring in B behind a moving edge, in this direction.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=FILE,
    required=True,
    help="A .gif, .webp or .mp4 file.",
)
@overwrite_option
@psi_option
@class_option
@point_network_option
@force_option
@device_option
def interpolate(
    a: str,
    b: str,
    count: int,
    fps: float,
    travel: Any,
    output: Path,
    overwrite: bool,
    psi: float,
    label: int | None,
    network: str | None,
    force: bool,
    device: str,
) -> None:
    """Animate the way from A to B.

    A and B are latent files or seeds.

    \b
    Examples:
      invert interpolate a.pt b.pt --frames 60 -o morph.mp4
      invert interpolate a.pt b.pt --travel right -o travel.webp
    """
    from edits.style_mixing import frames
    from invert.images.animation_files import check_animation
    from invert.images.images import to_pil, write_animation

    check_range("frames", count, 2, 10_000)
    check_animation(output, fps)
    points = [parse_point(a), parse_point(b)]
    destinations = claim_points("interpolate", [output], points, network, overwrite)
    generator, [first, second] = open_latents(
        points, network, device, force=force, psi=psi, label=label
    )
    way = counted(frames(generator, first, second, count, travel), count, "frame")
    pictures = [to_pil(generator.render(x))[0] for x in way]
    write_animation(pictures, destinations.ready(), fps=fps, record=destinations.record)
    say(output)


@click.command(cls=Command)
@click.argument("terms", nargs=-1, required=True, metavar="A + B - C")
@psi_option
@class_option
@output_option
@overwrite_option
@point_network_option
@force_option
@device_option
def combine(
    terms: tuple[str, ...],
    psi: float,
    label: int | None,
    output: Path | None,
    overwrite: bool,
    network: str | None,
    force: bool,
    device: str,
) -> None:
    """Add to A what distinguishes B from C.

    A, B and C are latent files or seeds; write spaces around + and -.

    \b
    Example:
      invert combine a.pt + b.pt - c.pt -o sum.png
    """
    from edits.style_mixing import combine as combine_latents

    points = parse_sum(terms)
    first, plus, minus = (stem(point) for point in points)
    files = with_twin(output or Path(f"{first}+{plus.name}-{minus.name}.png"))
    destinations = claim_points("combine", files, points, network, overwrite)
    generator, [a, b, c] = open_latents(points, network, device, force=force, psi=psi, label=label)
    write_edited(generator, combine_latents(generator, a, b, c), destinations)


def parse_sum(terms: Sequence[str]) -> list[Point]:
    """[a, b, c] of `a + b - c`, which is `a - c + b` too."""
    match terms:
        case [a, "+", b, "-", c] | [a, "-", c, "+", b]:
            return [parse_point(term) for term in (a, b, c)]
    raise UsageError(
        f"expected A + B - C, latent files or seeds with spaces between; got {' '.join(terms)!r}"
    )


def claim_points(
    command: str,
    files: Sequence[Path],
    points: Sequence[Point],
    network: str | None,
    overwrite: bool,
) -> Destinations:
    """The files, made from latent files and seeds; what a seed is, the network says."""
    of_seeds = (
        (network or DEFAULT_NETWORK) if any(isinstance(point, int) for point in points) else None
    )
    return claim(
        command, files, latents=points, network=of_seeds, settings=[network], overwrite=overwrite
    )


def stem(point: Point) -> Path:
    """The name that files made from a point begin with: beside a latent file, here for a seed."""
    return point.with_suffix("") if isinstance(point, Path) else Path(f"seed{point:04d}")
