"""The moments of a set's features, and the file that keeps them while they are taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from invert.checkpoints.file_format import FileFormat
from invert.checkpoints.source import naming
from invert.errors import ModelFileError, UsageError
from invert.files.file_kinds import FileKind, shown
from invert.metrics.moments import Moments
from invert.metrics.picture_sets import PictureSet, batch_size
from invert.metrics.vgg16_features import VGG16Features, vgg16_moments
from invert.recognition import expecting

FORMAT = FileFormat(
    "moments file",
    key="format",
    name="invert-moments",
    hint="`invert measure fd-vgg16 --keep-a FILE` writes one",
    max_bytes=256 << 20,  # 512 features are 2 MB
)
KEEP_SECONDS = 60.0


@dataclass(frozen=True, eq=False)
class SetMoments:
    """The moments of a set and what they are of.

    identity  of its pictures as far as they were taken (:class:`PictureSet`)
    facts     of the set
    features  name, layer and SHA-256 of the network
    """

    moments: Moments
    identity: str
    facts: Mapping[str, Any]
    features: Mapping[str, Any]


def measure_set(
    pictures: PictureSet,
    network: VGG16Features,
    *,
    batch: int | None = None,
    so_far: SetMoments | None = None,
    keep: Callable[[SetMoments], None] | None = None,
    callback: Callable[[int], None] | None = None,
) -> SetMoments:
    """The moments of a set's features; with `so_far`, of the pictures that it lacks.

    `keep` gets what there is every minute, at the end and at an interrupt; `callback` the number of
    pictures after each batch. Raises :class:`UsageError` where `so_far` is of other pictures, of
    more of them, or of another network.
    """
    moments = None
    if so_far is not None:
        check_same(so_far, pictures, network)
        moments = so_far.moments

    def as_it_is() -> SetMoments:
        assert moments is not None
        facts = {**pictures.facts, "count": moments.count}
        return SetMoments(moments.cpu(), pictures.identity(moments.count), facts, network.facts)

    step = batch_size(pictures.size, batch)
    done, kept, saved = 0 if moments is None else moments.count, True, time.monotonic()
    try:
        while done < len(pictures):
            images = pictures.images(done, min(done + step, len(pictures)))
            moments = vgg16_moments([images], network, so_far=moments)
            done, kept = moments.count, False
            if callback is not None:
                callback(done)
            if keep is not None and time.monotonic() - saved > KEEP_SECONDS:
                keep(as_it_is())
                kept, saved = True, time.monotonic()
    finally:
        if keep is not None and not kept:
            keep(as_it_is())
    return as_it_is()


def check_same(so_far: SetMoments, pictures: PictureSet, network: VGG16Features) -> None:
    """Raise :class:`UsageError` unless the moments are of the first pictures of the set."""
    count = so_far.moments.count
    if dict(so_far.features) != network.facts:
        raise UsageError("the moments that were kept are of another network; name another file")
    if count > len(pictures):
        raise UsageError(
            f"the moments that were kept are of {count} pictures, more than {len(pictures)}; "
            "take as many, or name another file"
        )
    if so_far.identity != pictures.identity(count):
        raise UsageError("the moments that were kept are of other pictures; name another file")


def save_moments(measured: SetMoments, path: Path, record: Mapping[str, Any] | None = None) -> None:
    """Write the file, the old one or the new one whole, with the `record` of its sources."""
    fields = {
        "identity": measured.identity,
        "facts": dict(measured.facts),
        "features": dict(measured.features),
        "count": measured.moments.count,
        **(record or {}),
    }
    tensors = {"mean": measured.moments.mean, "scatter": measured.moments.scatter}
    FORMAT.write(path, fields, tensors)


def load_moments(path: Path) -> SetMoments:
    """The moments in a file, which is not trusted. Raises :class:`ModelFileError`."""
    with expecting(FileKind.MOMENTS, path, "expected the moments of a set"):
        header, tensors = FORMAT.read(path)
    with naming(shown(path)):
        try:
            count, identity = header["count"], header["identity"]
            facts, features = header["facts"], header["features"]
            moments = Moments(count, tensors["mean"], tensors["scatter"])
        except KeyError as error:
            raise ModelFileError(f"damaged moments (no {error}); take them anew") from None

        width = moments.mean.numel()
        well_formed = (
            type(count) is int
            and count > 0
            and isinstance(identity, str)
            and isinstance(facts, dict)
            and isinstance(features, dict)
            and moments.mean.shape == (width,)
            and moments.scatter.shape == (width, width)
            and all(t.dtype == torch.float64 and bool(t.isfinite().all()) for t in tensors.values())
        )
        if not well_formed:
            raise ModelFileError("damaged moments (a part is of another kind); take them anew")
    return SetMoments(moments, identity, facts, features)
