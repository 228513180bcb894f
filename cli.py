"""The `invert` command: one group of all commands, and what becomes of their errors."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from directions.commands.group import directions
from edits.commands.canvas import canvas
from edits.commands.distributions import equalize, stats
from edits.commands.edit import edit
from edits.commands.mix import mix
from edits.commands.styles import combine, interpolate, style_mix
from edits.commands.training import attribute
from invert.commands.exchange import export_latent, import_latent
from invert.commands.files import convert, convert_network, download, info, networks
from invert.commands.gan_training import gan
from invert.commands.generate import generate
from invert.commands.groups import CommandGroup
from invert.commands.habits import hint_for_option
from invert.commands.hints import fitting, running
from invert.commands.measure import measure
from invert.commands.pictures import render
from invert.commands.project import project
from invert.commands.streams import Tolerant, lost_results, tolerant_streams
from invert.commands.terminal import say
from invert.commands.training import encoder
from invert.errors import InvertError, refused_file

SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "One image": (project, generate, edit, render),
    "Several images": (mix, canvas, style_mix, interpolate, combine),
    "Distributions": (equalize, stats),
    "Latent files": (convert, import_latent, export_latent, info),
    "Networks and directions": (networks, download, convert_network, directions),
}

INTERRUPTED = 130
NO_ARGUMENTS: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())  # before click 8.2: none


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="invert")
@click.option("--debug", is_flag=True, help="Show a traceback instead of one line.")
def cli(debug: bool) -> None:
    """Put a real photograph into a pretrained StyleGAN2 and change it there.

    Start with `invert project PHOTO`; `invert COMMAND --help` explains each command.
    """


@click.group(cls=CommandGroup)
def train() -> None:
    """Train an encoder, attribute models, or a generator.

    Encoders and attribute models learn from images of a generator, generators from
    pictures.

    \b
    Example:
      invert train encoder --network ffhq.pkl --hours 8 -o e.safetensors
    """


train.add_command(encoder)
train.add_command(attribute)
train.add_command(gan)

for heading, commands in SECTIONS.items():
    cli.add_section(heading, commands)
cli.add_section("Networks and directions", [train, measure])


def fitted(message: str) -> str:
    """The message without hints that the running command has no option for."""
    return fitting(message, running(cli, sys.argv[1:]))


def show_warning(message: Any, category: Any, *_: Any) -> None:
    """Print a warning of Python's as one line on stderr."""
    say(f"warning: {fitted(str(message))}", err=True)


@contextmanager
def habits_of_a_command() -> Iterator[Tolerant | None]:
    """What holds for all commands, and no longer afterwards.

    Warnings are one line; no closed pipe or full disk ends the work; a kill or a closed terminal
    saves what there is, like Ctrl-C. Yields stdout, which knows what it could not write.
    """
    from invert.interrupts import ending_commands

    shown = warnings.showwarning
    warnings.showwarning = show_warning  # type: ignore[assignment]
    try:
        with tolerant_streams() as stdout, ending_commands():
            yield stdout
    finally:
        warnings.showwarning = shown


def main() -> None:
    """Run the command; every error is one line and an exit code (--debug shows its traceback)."""
    with habits_of_a_command() as stdout:
        try:
            run("--debug" in sys.argv, stdout)
        except KeyboardInterrupt:  # while an error was told
            sys.exit(INTERRUPTED)


def run(debug: bool, stdout: Tolerant | None) -> None:
    """Run the command and exit, with the code of its error where there is one."""
    try:
        code = cli.main(standalone_mode=False, prog_name="invert")
        if reason := lost_results(stdout):
            raise InvertError(
                f"stdout: {reason}; the work is done, not all of its results were printed"
            )
        sys.exit(code or 0)

    except SystemExit as stop:
        if stop.code != INTERRUPTED:
            raise
        fail("interrupted", INTERRUPTED, debug)  # by a second signal, which nothing catches

    except InvertError as error:
        fail(str(error), error.exit_code, debug)

    # What was typed.
    except NO_ARGUMENTS as error:
        click.echo(error.format_message(), err=True)  # which is the help
        sys.exit(error.exit_code)
    except click.NoSuchOption as error:
        fail(hint_for_option(error), error.exit_code, debug)
    except click.UsageError as error:
        where = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
        message = error.format_message()
        if "--help" not in message:
            message = message.rstrip(".") + where
        fail(message, error.exit_code, debug)
    except click.ClickException as error:
        fail(error.format_message(), error.exit_code, debug)

    except (KeyboardInterrupt, click.Abort):
        fail("interrupted", INTERRUPTED, debug)
    except ModuleNotFoundError as error:
        fail(f"{error}; install invert again, or rename a file of yours with that name", 1, debug)
    except Exception as error:
        from invert.hardware.memory import is_out_of_memory

        if is_out_of_memory(error):
            fail(
                "out of memory; use a smaller image, fewer at a time or another --device", 5, debug
            )
        if refusal := refused_file(error):
            fail(refusal, InvertError.exit_code, debug)
        fail(
            f"unexpected {type(error).__name__}: {error} (a bug; run with --debug and report it)",
            1,
            debug,
        )


def fail(message: str, code: int, debug: bool) -> None:
    """Print an error as one line, after its traceback with `debug`, and exit."""
    if debug:
        import traceback

        traceback.print_exc()
    say("error: " + fitted(" ".join(message.split())), err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
