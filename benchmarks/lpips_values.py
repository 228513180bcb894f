"""LPIPS against the values of its authors' three sample images.

    python benchmarks/lpips_values.py FOLDER

FOLDER is `imgs/` of LPIPS's repository: ex_ref.png, ex_p0.png and ex_p1.png, 64 px. They are in no
package, so whoever checks brings them. Prints each distance beside what it should be, and fails
where one is more than 0.001 off.
"""

from __future__ import annotations

from pathlib import Path

import click

from invert.images.images import read_image, to_tensor
from invert.metrics.perceptual import load_perceptual

# of ex_p0 and ex_p1 from ex_ref
EXPECTED = {"lpips-alex": (0.7219, 0.1376), "lpips-vgg": (0.5686, 0.4217)}
TOLERANCE = 1e-3


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(folder: Path) -> None:
    reference, *others = (
        to_tensor(read_image(folder / f"{name}.png")) for name in ("ex_ref", "ex_p0", "ex_p1")
    )

    worst = 0.0
    for name, expected in EXPECTED.items():
        distance = load_perceptual(name)
        found = [distance(reference, other).item() for other in others]
        click.echo(f"{name}: {found[0]:.4f} and {found[1]:.4f}, expected {expected}")
        worst = max(worst, *(abs(a - b) for a, b in zip(found, expected, strict=True)))
    if worst > TOLERANCE:
        raise SystemExit(f"{worst:.4f} off; {TOLERANCE} is allowed")


if __name__ == "__main__":
    main()
