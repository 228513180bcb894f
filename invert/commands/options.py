"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from invert.commands.opening import DEFAULT_NETWORK


class FilePath(click.Path):
    """A path as :class:`Path`; an address of the web is refused with what to do instead."""

    def convert(self, value: Any, *others: Any) -> Any:
        from invert.files.addresses import refuse_address

        refuse_address(str(value))
        return super().convert(value, *others)


FILE = FilePath(path_type=Path)


def check_psi(context: click.Context, parameter: click.Parameter, psi: float) -> float:
    """The truncation that was asked for. Raises :class:`UsageError` outside [-10, 10] and for NaN."""
    from invert.arguments import check_psi as checked

    return checked(psi)


def was_given(parameter: str) -> bool:
    """Whether the user typed an option of the running command, rather than took its default."""
    source = click.get_current_context().get_parameter_source(parameter)
    return source is not ParameterSource.DEFAULT


def check_network(
    context: click.Context, parameter: click.Parameter, network: str | None
) -> str | None:
    """The name or path that was given.

    Raises :class:`UsageError` for an address of the web, :class:`ModelFileError` for a latent and
    the like.
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
    default=DEFAULT_NETWORK,
    show_default=True,
    callback=check_network,
    help="Registry name or checkpoint file.",
)
latent_network_option = click.option(
    "--network",
    callback=check_network,
    help="Registry name or checkpoint file; the latent's own by default.",
)
point_network_option = click.option(  # where seeds may stand for latent files
    "--network",
    callback=check_network,
    help=f"Registry name or checkpoint file; by default the latent's own, for seeds {DEFAULT_NETWORK}.",
)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:1, mps. auto takes cuda where it is.",
)
noise_option = click.option(
    "--noise",
    type=click.Choice(["const", "none", "random"]),
    default="const",
    show_default=True,
    help="For latents that carry no noise maps of their own.",
)
READING = (
    click.option("--background", help="Colour under transparent images; white by default."),
    click.option("--frame", type=int, help="Frame of an animation or page of a TIFF."),
    click.option("--max-pixels", type=int, help="Refuse larger photographs."),
    click.option("--allow-truncated", is_flag=True, help="Read what there is of a cut-off file."),
)


def reading_options(command: Any) -> Any:
    """The command with options that say how a photograph is read; :func:`reading` collects them."""
    for option in reversed(READING):
        command = option(command)
    return command


def reading(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `ReadOptions` among a command's own, where they were given."""
    names = ("background", "frame", "max_pixels", "allow_truncated")
    return {name: given[name] for name in names if given[name] not in (None, False)}


psi_option = click.option(
    "--psi",
    type=float,
    default=0.7,
    show_default=True,
    callback=check_psi,
    help="Truncation of seeds: 0 is the mean face, 1 none (Z has none).",
)
class_option = click.option(
    "--class", "label", type=int, help="Class index of a conditional generator."
)
force_option = click.option(
    "--force", is_flag=True, help="Accept a latent made with another generator."
)
overwrite_option = click.option(
    "--overwrite",
    is_flag=True,
    help="Replace results that are there, whatever they are; an input never.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Machine-readable results on stdout."
)
output_option = click.option("-o", "--output", type=FILE, help="PNG or .pt; both are written.")
