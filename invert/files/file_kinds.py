"""Kinds of files: what each is called, and what it is good for.

One place for the words of `invert info` and of the error about a file in the wrong place.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path


class FileKind(Enum):
    """A name, and what to do with such a file; FILE stands for its path."""

    LATENT = "latent", "`invert edit FILE --direction NAME` and `invert render FILE` take it"
    CHECKPOINT = "checkpoint", "`invert generate --network FILE` and all with --network take it"
    DIRECTION = "direction", "`invert edit LATENT --direction FILE` takes it"
    ATTRIBUTE_MODEL = (
        "attribute model",
        "`invert edit LATENT --direction NAME --features FILE` takes it",
    )
    ENCODER = "encoder", "`invert project PHOTO --encoder FILE` takes it"
    WEIGHTS = "weights", "invert finds them in its cache by their name (`invert networks`)"
    DISTRIBUTIONS = "map distributions", "invert finds them in its cache, or makes them again"
    MOMENTS = (
        "moments of features",
        "`invert measure fd-vgg16 FILE B` compares them with other pictures",
    )
    TRAINING = "training state", "`invert train encoder --resume` goes on from it"
    HISTORY = "training history", "each line is a measurement of `invert train encoder`"
    GAN_TRAINING = (
        "training state of a generator",
        "`invert train gan --resume` goes on from it; the network is the .safetensors file beside "
        "its folder",
    )
    GAN_HISTORY = (
        "training history of a generator",
        "each line holds losses or measures of `invert train gan`",
    )
    REPORT = "report", "it says how `invert project` made the latent beside it"
    POINTS = (
        "latent of another project",
        "`invert import-latent FILE --network NETWORK` makes it one of invert",
    )
    VECTORS = (
        "vectors of another project",
        "`invert import-latent FILE --network NETWORK` takes them as points, "
        "`invert directions import FILE --name NAME` as directions",
    )
    DIRECTIONS = (
        "directions of another project",
        "`invert directions import FILE --name NAME` takes one of them",
    )
    PICTURE = "picture", "`invert project FILE` puts a photograph into a generator"
    VIDEO = "video", "invert reads single pictures; save a frame as PNG"
    WHEEL = "package wheel", "`invert download NAME --wheel FILE` takes those of `invert networks`"
    SCORES = "table", "`invert directions learn FILE --name NAME` takes rows of seed,score"

    @property
    def phrase(self) -> str:
        """The kind in words, without an article."""
        return self.value[0]

    @property
    def clause(self) -> str:
        """ "this is a latent", "this is an encoder", "these are weights"."""
        if self.phrase.split()[0].endswith("s"):
            return f"these are {self.phrase}"
        return f"this is {'an' if self.phrase[0] in 'aeiou' else 'a'} {self.phrase}"

    def use(self, path: Path) -> str:
        """One sentence about what to do with the file, without a full stop."""
        return self.value[1].replace("FILE", shown(path))


# Kinds that look alike, or of which the readers of the first say enough.
ALIKE = {
    FileKind.DIRECTIONS: (FileKind.DIRECTION, FileKind.VECTORS, FileKind.POINTS),
    FileKind.POINTS: (FileKind.VECTORS,),
    FileKind.PICTURE: (FileKind.VIDEO,),
}


def shown(path: str | os.PathLike[str]) -> str:
    """The path for a one-line message; newlines, control characters and bad bytes are escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in os.fspath(path))
