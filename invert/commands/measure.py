"""`invert measure`: numbers about a generator and its pictures."""

from __future__ import annotations

import click

from invert.commands.groups import CommandGroup
from invert.commands.measure_features import fd_vgg16
from invert.commands.measure_inception import fid, kid, precision_recall
from invert.commands.measure_networks import jacobian, ppl, resolutions


@click.group(cls=CommandGroup)
def measure() -> None:
    """Measure a generator and its pictures.

    Each number is printed with what it was measured on.

    \b
    Example:
      invert measure fd-vgg16 photographs --network ffhq.pkl
    """


measure.add_section("Sets of pictures", [fd_vgg16, fid, kid, precision_recall])
measure.add_section("A generator alone", [ppl, resolutions, jacobian])
