"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from invert.commands.opening import DEFAULT_NETWORK
from invert.errors import UsageError


class FilePath(click.Path):
    """A path as :class:`Path`; an address of the web is refused with what to do instead."""

    def convert(self, value: Any, *others: Any) -> Any:
        """The path. Raises :class:`UsageError` for an address of the web."""
        from invert.files.addresses import refuse_address

        refuse_address(str(value))
        return super().convert(value, *others)


FILE = FilePath(path_type=Path)


def check_psi(context: click.Context, parameter: click.Parameter, psi: float) -> float:
    """The truncation. Raises :class:`UsageError` outside [-10, 10] and for NaN."""
    from invert.arguments import check_psi as checked

    return checked(psi)


def was_given(parameter: str) -> bool:
    """Whether the user typed an option of the running command, rather than took its default."""
    source = click.get_current_context().get_parameter_source(parameter)
    return source is not ParameterSource.DEFAULT


def refuse_given(parameters: Iterable[str], why: str) -> None:
    """Raise :class:`UsageError` for an option that the user typed and that would change nothing.

    `why` follows its name, and says what to do.
    """
    for parameter in parameters:
        if was_given(parameter):
            raise UsageError(f"--{parameter.replace('_', '-')} {why}")


def without_none(**values: Any) -> dict[str, Any]:
    """The values of options that the user typed; None stands for the default of a dataclass."""
    return {name: value for name, value in values.items() if value is not None}


def check_network(
    context: click.Context, parameter: click.Parameter, network: str | None
) -> str | None:
    """The name or path of a network.

    Raises :class:`UsageError` for a web address, :class:`ModelFileError` for a latent and the like.
    """
    from invert.files.addresses import refuse_address

    if network is not None:
        refuse_address(network)
        if os.path.isfile(network):
            from invert.recognition import refuse_other_files

            refuse_other_files(Path(network))
    return network


network_option = click.option(
    "--network",
    metavar="NAME|FILE",
    default=DEFAULT_NETWORK,
    show_default=True,
    callback=check_network,
    help="Registered name (`invert networks`) or checkpoint file.",
)
latent_network_option = click.option(
    "--network",
    metavar="NAME|FILE",
    callback=check_network,
    help="Registered name or checkpoint file. Default: the latent's own.",
)
point_network_option = click.option(  # where seeds may stand for latent files
    "--network",
    metavar="NAME|FILE",
    callback=check_network,
    help="Registered name or checkpoint file. Default: the latent's own; "
    f"for seeds, {DEFAULT_NETWORK}.",
)
device_option = click.option(
    "--device",
    metavar="DEVICE",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:1, mps; auto is cuda if there is one, else cpu.",
)
noise_option = click.option(
    "--noise",
    type=click.Choice(["const", "none", "random"]),
    default="const",
    show_default=True,
    help="Noise for latents without noise maps of their own.",
)
READING_PARAMETERS = ("background", "frame", "max_pixels", "allow_truncated")
READING = (
    click.option(
        "--background",
        metavar="COLOUR",
        help="Colour under transparent images. Default: white.",
    ),
    click.option(
        "--frame", metavar="N", type=int, help="Frame of an animation, or page of a TIFF."
    ),
    click.option("--max-pixels", metavar="N", type=int, help="Refuse larger photographs."),
    click.option("--allow-truncated", is_flag=True, help="Read what is left of a cut-off file."),
)


def reading_options(command: Any) -> Any:
    """The command with the options that say how a photograph is read."""
    for option in reversed(READING):
        command = option(command)
    return command


def reading_settings(
    background: str | None, frame: int | None, max_pixels: int | None, allow_truncated: bool
) -> dict[str, Any]:
    """Arguments of `ReadOptions` from :func:`reading_options`: those that the user typed."""
    return without_none(
        background=background,
        frame=frame,
        max_pixels=max_pixels,
        allow_truncated=allow_truncated or None,
    )


psi_option = click.option(
    "--psi",
    metavar="PSI",
    type=float,
    default=0.7,
    show_default=True,
    callback=check_psi,
    help="Truncation of seeds: 0 is the mean face, 1 is none (always in Z).",
)
class_option = click.option(
    "--class", "label", metavar="N", type=int, help="Class index, for a conditional generator."
)
force_option = click.option(
    "--force", is_flag=True, help="Accept a latent made with another generator."
)
overwrite_option = click.option(
    "--overwrite",
    is_flag=True,
    help="Replace any file in the way, but never an input.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
output_option = click.option(
    "-o", "--output", metavar="FILE", type=FILE, help="A .png or .pt name; both files are written."
)
