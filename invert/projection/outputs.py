"""The files of a projection: NAME.pt, NAME.png, NAME.compare.png, NAME.json."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from itertools import count as count_from
from pathlib import Path
from typing import Any

from torch import Tensor

from invert.errors import ModelFileError
from invert.files.leftovers import recover
from invert.images.comparison import error_map, hstack
from invert.images.images import encode_png, to_pil
from invert.latents.digests import picture_of
from invert.latents.latent import Latent
from invert.latents.latent_files import encode_latent

MADE_BY_PROJECT = "project"


@dataclass(frozen=True)
class OutputPaths:
    """Where the parts of one projection go."""

    latent: Path
    image: Path
    compare: Path
    report: Path

    @classmethod
    def in_folder(cls, folder: Path, name: str, picture: str = "") -> OutputPaths:
        """The files of one name in `folder`; `picture` stands in the image's name after it."""
        # not with_suffix: a name may contain dots
        ends = (".pt", f"{picture}.png", ".compare.png", ".json")
        return cls(*(folder / f"{name}{end}" for end in ends))

    def all(self) -> list[Path]:
        """The four files, the latent first."""
        return [self.latent, self.image, self.compare, self.report]

    def progress(self, kind: str) -> Path:
        """Where the animation of the steps goes, a gif or webp."""
        return self.latent.with_name(f"{self.latent.name.removesuffix('.pt')}.progress.{kind}")


def output_paths(
    sources: Sequence[Path], folder: Path, inputs: Iterable[Path] = ()
) -> list[OutputPaths]:
    """The files of each source image, named after it; none is an input or another source's.

    `a.png` projected into its own folder has `a.pt` as elsewhere, and its picture is
    `a.projected.png`. A second source `a.jpg` gets `a-2.pt`, and so does one whose files would
    overwrite another input. Names that differ in case alone are the same.
    """
    taken = {name_on_disk(path) for path in (*sources, *inputs)}
    chosen: list[OutputPaths] = []
    for source in sources:
        for paths in candidates(folder, source.stem):
            names = {name_on_disk(path) for path in paths.all()}
            if not names & taken:
                break
        taken |= names
        chosen.append(paths)
    return chosen


def candidates(folder: Path, stem: str) -> Iterator[OutputPaths]:
    """The files of a stem in the order of preference: NAME, NAME.projected, NAME-2 and so on."""
    for name in chain([stem], (f"{stem}-{count}" for count in count_from(2))):
        yield OutputPaths.in_folder(folder, name)
        yield OutputPaths.in_folder(folder, name, picture=".projected")


def name_on_disk(path: Path) -> str:
    """The name under which two paths to one file are equal: links followed, without case."""
    return os.path.realpath(path).casefold()


def projection_files(
    paths: OutputPaths,
    latent: Latent,
    image: Tensor,
    target: Tensor,
    report: Mapping[str, Any],
    record: Mapping[str, Any] | None = None,
) -> dict[Path, bytes]:
    """The contents of the four files, the latent last: where it exists, the others do."""
    # The latent remembers what it was made from, as its files do.
    record = record or {"made_by": MADE_BY_PROJECT}
    latent = latent.replace(metadata={**latent.metadata, **record})

    # The reconstruction, and beside the original with a map of errors.
    reconstruction, original = to_pil(image)[0], to_pil(target)[0]
    compared = hstack([original, reconstruction, error_map(target, image)])

    text = json.dumps(report, indent=2, sort_keys=True) + "\n"
    return {
        paths.image: encode_png(reconstruction, picture_of(latent)),
        paths.compare: encode_png(compared, record),
        paths.report: text.encode(),
        paths.latent: encode_latent(latent, paths.latent),
    }


def newest_projection(folder: Path) -> Path:
    """The latent file that `project` wrote last in `folder`.

    Raises :class:`ModelFileError` when there is none, and for a folder that may not be searched.
    """
    recover(folder)
    try:
        paths = [folder / name for name in os.listdir(folder) if name.endswith(".pt")]
        candidates = sorted(paths, key=modified, reverse=True)
    except OSError as error:
        raise ModelFileError(
            f"{folder}: cannot be searched ({error.strerror}); name a latent file"
        ) from error
    for path in candidates:
        try:
            if Latent.load(path).metadata.get("made_by") == MADE_BY_PROJECT:
                return path
        except ModelFileError:
            continue  # some other program's .pt
    raise ModelFileError(
        f"{folder}: no projection here; run `invert project IMAGE` or name a latent file"
    )


def modified(path: Path) -> float:
    """The time of a file's last change; 0 for a link that leads nowhere and a file that is gone.

    Raises :class:`PermissionError` in a folder that may not be searched.
    """
    try:
        return path.stat().st_mtime
    except PermissionError:
        raise
    except OSError:
        return 0.0
