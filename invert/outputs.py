"""The files of a projection: NAME.pt, NAME.png, NAME.compare.png, NAME.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from invert.atomic import write_atomically
from invert.errors import ModelFileError
from invert.images import error_map, hstack, to_images, write_png
from invert.latents import Latent

MADE_BY_PROJECT = "project"


@dataclass(frozen=True)
class OutputPaths:
    """Where the parts of one projection go."""

    latent: Path
    image: Path
    compare: Path
    report: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> OutputPaths:
        # not with_suffix: a name may contain dots
        return cls(*(folder / f"{name}{end}" for end in (".pt", ".png", ".compare.png", ".json")))

    def all(self) -> list[Path]:
        return [self.latent, self.image, self.compare, self.report]


def output_names(sources: list[Path], folder: Path, space: str) -> list[str]:
    """A file stem for each source image: its own, unless that would overwrite a source or an earlier one's files.

    `a.png` projected into its own folder becomes `a-FNW5`; a second `a.jpg` becomes `a-2`.
    """
    resolved = {source.resolve() for source in sources}
    names: list[str] = []
    for source in sources:
        stem = source.stem
        if any(path.resolve() in resolved for path in OutputPaths.of(folder, stem).all()):
            stem = f"{stem}-{space}"
        name, count = stem, 1
        while name in names:
            count += 1
            name = f"{stem}-{count}"
        names.append(name)
    return names


def write_projection(
    paths: OutputPaths, latent: Latent, image: Tensor, target: Tensor, report: Mapping[str, Any]
) -> None:
    """Write the four files, the latent last: where it exists, the others do."""
    reconstruction, original = to_images(image)[0], to_images(target)[0]
    write_png(reconstruction, paths.image)
    write_png(hstack([original, reconstruction, error_map(target, image)]), paths.compare)
    text = json.dumps(report, indent=2, sort_keys=True) + "\n"
    write_atomically(paths.report, lambda f: f.write(text.encode()))
    latent.replace(metadata={**latent.metadata, "made_by": MADE_BY_PROJECT}).save(paths.latent)


def newest_projection(folder: Path) -> Path:
    """The latent file that `project` wrote last in `folder`. Raises :class:`ModelFileError` when there is none."""
    candidates = sorted(folder.glob("*.pt"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in candidates:
        try:
            if Latent.load(path).metadata.get("made_by") == MADE_BY_PROJECT:
                return path
        except ModelFileError:
            continue  # some other program's .pt
    raise ModelFileError(f"{folder}: no projection here; run `invert project IMAGE` or name a latent file")
