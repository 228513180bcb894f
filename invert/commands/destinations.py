"""Where results go: checked before the work, so that no file is destroyed and no result is lost.

One rule for all commands. An input is never an output, whatever --overwrite says. A file that is
there is replaced if it says that the same command made it from the same sources (the photographs,
latents or seeds that a result shows, and their network; not the settings, masks and directions that
say how), or with --overwrite; else it is refused. What a command makes from no sources is replaced
with --overwrite alone. A folder that is missing is made when the results are written.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invert.commands.terminal import printable, say
from invert.errors import InvertError, UsageError

if TYPE_CHECKING:
    from invert.files.atomic_files import Content

LATENT_SUFFIXES = (".pt", ".safetensors")
Source = int | str | Path | None  # a seed, a name or a file


@dataclass(frozen=True)
class Destinations:
    """The files that a command will write, checked by :func:`claim`.

    made_by  the command
    outputs  all files, twins included: the latent of a picture, the picture of a latent
    latents  sources: latent files and seeds
    files    sources: photographs, tables, arrays
    network  that seeds and photographs are made with, by name or file; None where latents say it
    """

    made_by: str
    outputs: tuple[Path, ...]
    latents: tuple[int | Path, ...] = ()
    files: tuple[Path | str, ...] = ()
    network: str | None = None

    @cached_property
    def made_from(self) -> tuple[str, ...]:
        """A line for each source, as results record it. Hashes files."""
        from invert.commands.latents_read import digest_of_latent_file
        from invert.commands.records import file_digest, network_digest

        lines = []
        for point in self.latents:
            digest = digest_of_latent_file(point) if isinstance(point, Path) else None
            lines.append(f"latent {digest}" if isinstance(point, Path) else f"seed {point}")
        lines += [f"file {file_digest(x)}" if isinstance(x, Path) else x for x in self.files]
        if self.network is not None:
            digest = network_digest(Path(self.network)) if os.path.exists(self.network) else None
            lines.append(f"network {digest or self.network}")
        return tuple(lines)

    @property
    def record(self) -> dict[str, Any]:
        """What the results say about themselves."""
        from invert.files.provenance import record

        return record(self.made_by, self.made_from)

    def ready(self) -> Path:
        """The one file, for those that write it themselves: announced, its folder made."""
        [path] = self.outputs
        self.announce()
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, contents: Mapping[Path, Content], remove: Iterable[Path] = ()) -> None:
        """Write the files, all of them or none, saying what they replace."""
        from invert.files.atomic_files import write_set

        self.announce()
        write_set(contents, remove)

    def announce(self) -> None:
        """Say on stderr which files are about to be replaced."""
        there = [path.name for path in self.outputs if os.path.lexists(path)]
        if there:
            say(f"replaces {', '.join(there)}", err=True)


def claim(
    made_by: str,
    outputs: Sequence[Path],
    *,
    latents: Iterable[int | Path] = (),
    files: Iterable[Path | str] = (),
    network: str | None = None,
    settings: Iterable[Source] = (),
    overwrite: bool = False,
) -> Destinations:
    """The outputs, if all can be written and none destroys a file that matters.

    latents   sources that are latent files or seeds
    files     sources that are other files, or names
    network   that seeds and photographs are made with
    settings  further inputs: masks, directions, another network, …; names and None are passed over

    Raises :class:`UsageError` for an output that is an input or somebody else's file, and for what
    is no file; :class:`InvertError` for a folder that cannot be written.
    """
    latents, files = tuple(latents), tuple(files)
    destinations = Destinations(made_by, tuple(outputs), latents, files, network)
    inputs = [Path(x) for x in (*latents, *files, network, *settings) if isinstance(x, (str, Path))]

    from invert.files.leftovers import recover

    # An output that is there may be the network of a latent.
    if any(os.path.lexists(output) for output in outputs):
        inputs += [place for x in latents if isinstance(x, Path) for place in networks_of(x)]

    # A run that was killed may have left files half replaced.
    for folder in dict.fromkeys(path.parent for path in (*inputs, *outputs)):
        recover(folder)

    for folder in dict.fromkeys(output.parent for output in outputs):
        check_folder(folder)
    check_not_inputs(outputs, inputs)
    for output in outputs:
        check_replaceable(output, destinations, overwrite)
    return destinations


def networks_of(latent: Path) -> list[Path]:
    """The files that a latent file remembers as its network; none for what is no latent."""
    from invert.commands.latents_read import read_latent
    from invert.latents.network_files import recorded_paths

    try:
        return recorded_paths(read_latent(latent).metadata, latent.parent)
    except (InvertError, OSError):
        return []


def check_not_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise :class:`UsageError` if writing an output would replace an input, by whatever name."""
    protected = {key for path in inputs for key in identity(path)}
    for output in outputs:
        if protected.intersection(identity(output)):
            raise UsageError(
                f"{printable(output)}: an input of this command, which would be overwritten; "
                "name another output"
            )


def identity(path: Path) -> list[object]:
    """What all names of one file share: the place they lead to, and the file there."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return [os.path.realpath(path)]
    return [os.path.realpath(path), (status.st_dev, status.st_ino)]


def check_replaceable(output: Path, destinations: Destinations, overwrite: bool) -> None:
    """Raise :class:`UsageError` where `output` is there and must stay."""
    try:
        mode = os.lstat(output).st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{printable(output)}: cannot be a file name here ({reason(error)}); name another"
        ) from None
    if stat.S_ISLNK(mode):
        try:
            mode = os.stat(output).st_mode
        except OSError:
            mode = stat.S_IFREG  # it leads nowhere: somebody's file all the same

    if stat.S_ISDIR(mode):
        raise UsageError(
            f"{printable(output)}: a folder is there, expected a place for a file; "
            "name another output"
        )
    if not stat.S_ISREG(mode):
        raise UsageError(
            f"{printable(output)}: a device, pipe or socket, expected a file; name another output"
        )
    if not overwrite and not is_ours(output, destinations):
        raise UsageError(
            f"{printable(output)}: exists, and does not say that this command made it from the "
            "same inputs; name another output, or replace it with --overwrite"
        )


def is_ours(output: Path, destinations: Destinations) -> bool:
    """Whether a file says that this command made it from these sources, or shows a latent that says
    so. Never where there are no sources, since they alone tell one result from another.
    """
    from invert.commands.latents_read import digest_of_latent_file
    from invert.commands.records import read_record
    from invert.files.provenance import made_from

    record = read_record(output)
    sources = made_from(record)
    if sources is not None:
        same_command = record.get("made_by") == destinations.made_by
        return bool(sources) and same_command and sources == destinations.made_from
    shown = record.get("latent")
    if not isinstance(shown, str):
        return False
    if destinations.made_by == "render" and destinations.made_from == (f"latent {shown}",):
        return True  # the source's own picture, drawn again
    twins = [path for path in destinations.outputs if path.suffix in LATENT_SUFFIXES]
    return any(
        digest_of_latent_file(twin) == shown and is_ours(twin, destinations) for twin in twins
    )


def check_folder(folder: Path) -> None:
    """Raise :class:`InvertError` unless files can be written in the folder, or it can be made."""
    # The nearest folder above it that is there.
    nearest = folder
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise UsageError(
            f"{printable(nearest)}: not a folder, expected one to write into; name another"
        )

    # Permissions alone do not tell whether files can be made there.
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise InvertError(
            f"{printable(nearest)}: cannot be written ({reason(error)}); "
            "name another folder for the results"
        ) from error


def with_twin(output: Path) -> tuple[Path, Path]:
    """The picture and the latent of an edit, whichever of the two `output` names."""
    if output.suffix not in (".png", *LATENT_SUFFIXES):
        raise UsageError(
            f"{printable(output)}: expected a name that ends in .png, .pt or .safetensors"
        )
    stem = output.with_suffix("")
    return Path(f"{stem}.png"), Path(f"{stem}{'.pt' if output.suffix == '.png' else output.suffix}")


def with_suffix_of(output: Path, *allowed: str) -> Path:
    """The output itself. Raises :class:`UsageError` unless it ends in one of `allowed`."""
    if output.suffix.lower() not in allowed:
        raise UsageError(
            f"{printable(output)}: expected a name that ends in {' or '.join(allowed)}"
        )
    return output


def reason(error: Exception) -> str:
    """What the system says about an error, without its number and the name of the file."""
    return str(getattr(error, "strerror", None) or error)
