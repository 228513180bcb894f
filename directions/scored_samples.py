"""Samples with scores, to learn directions from: seeds or latent files, and the CSV of scores."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invert.errors import FingerprintError, LatentError, ModelFileError, UsageError
from invert.files.regular_files import read_regular
from invert.latents.latent import Latent
from invert.projection.companion import ensure_companion

if TYPE_CHECKING:
    from invert.generator import Generator

Sample = int | Path  # a seed, or a latent file

MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class ScoreTable:
    """Rows of a CSV: `samples[k]` has score `scores[k]`, as `places[k]` says (`PATH: line 3`)."""

    samples: tuple[Sample, ...]
    scores: Tensor  # [N], float64
    places: tuple[str, ...]


def read_scores(path: str | Path) -> ScoreTable:
    """The table in a CSV of rows `seed,score` or `latent file,score`.

    A first row whose score is no number is a heading. Latent files are relative to the CSV's
    folder. Raises :class:`UsageError` (`PATH: line 3: what is wrong`) for other rows, for an empty
    table and for a sample that comes twice.
    """
    path = Path(path)
    rows = read_rows(path)
    if rows and len(rows[0][1]) == 2 and number(rows[0][1][1]) is None:
        del rows[0]

    table: dict[Sample, float] = {}
    places: list[str] = []
    for n, row in rows:
        score = number(row[1]) if len(row) == 2 else None
        if score is None or not row[0].strip():
            raise UsageError(
                f"{path}: line {n}: expected `seed,score` or `latent file,score`, "
                f"got {','.join(row)!r:.80}"
            )
        if not math.isfinite(score):
            raise UsageError(f"{path}: line {n}: the score is {row[1].strip()}; leave that row out")

        name = row[0].strip()
        sample: Sample = int(name) if name.isdecimal() else path.parent / name
        if sample in table:
            raise UsageError(f"{path}: line {n}: {name} comes twice; keep one of its scores")
        table[sample] = score
        places.append(f"{path}: line {n}")

    if not table:
        raise UsageError(f"{path}: no rows; expected `seed,score` or `latent file,score`")
    scores = torch.tensor(list(table.values()), dtype=torch.float64)
    return ScoreTable(tuple(table), scores, tuple(places))


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows of a CSV that are not empty, with their numbers from 1."""
    try:
        text = read_regular(path, MAX_BYTES).decode("utf-8-sig")
        rows = enumerate(csv.reader(io.StringIO(text)), start=1)
        return [(n, row) for n, row in rows if any(map(str.strip, row))]
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); expected a CSV of seed,score"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{path}: not a CSV text file ({error}); expected rows of seed,score"
        ) from error


def number(text: str) -> float | None:
    """The number that a text is, or None."""
    try:
        return float(text)
    except ValueError:
        return None


def style_vectors(
    generator: Generator,
    samples: Sequence[Sample],
    *,
    psi: float = 1.0,
    places: Sequence[str] | None = None,
) -> Tensor:
    """w [N, w_dim] of seeds and of latents in W; W+ styles [N, num_ws, w_dim] if any is not in W.

    Seeds are truncated by psi. A latent with features counts as its companion, which is made where
    it is missing. `places` say where the user named each sample; the errors of its file begin with
    that. Raises :class:`LatentError` where there can be no companion, for Z and for style maps;
    :class:`FingerprintError` for latents of another generator; :class:`ModelFileError` for other
    files.
    """
    if not samples:
        raise UsageError("expected at least one seed or latent file, got none")
    seeds = [s for s in samples if isinstance(s, int)]
    of_seeds = iter(generator.sample(seeds, psi=psi).styles if seeds else ())
    vectors = [
        next(of_seeds) if isinstance(s, int) else styles_of_file(generator, s, place)
        for s, place in zip(samples, places or [""] * len(samples), strict=True)
    ]
    if all(v.ndim == 1 for v in vectors):
        return torch.stack(vectors)
    return torch.stack([v.expand(generator.num_ws, -1) if v.ndim == 1 else v for v in vectors])


def styles_of_file(generator: Generator, path: Path, place: str = "") -> Tensor:
    """[w_dim] or [num_ws, w_dim] of the one latent in a file; errors begin with `place`."""
    try:
        latent = Latent.load(path)
    except ModelFileError as error:
        raise type(error)(f"{place}: {error}" if place else str(error)) from error

    where = f"{place}: {path}" if place else str(path)
    try:
        generator.check(latent)
        return styles_of(generator, latent)
    except (FingerprintError, LatentError) as error:
        raise type(error)(f"{where}: {error}") from error


def styles_of(generator: Generator, latent: Latent) -> Tensor:
    """[w_dim] or [num_ws, w_dim] of one latent; of its companion, if it has features."""
    if len(latent) != 1:
        raise LatentError(f"holds {len(latent)} latents, expected one; save each in its own file")
    latent = ensure_companion(generator, latent)
    if latent.companion is not None and latent.companion.windows is None:
        return latent.companion.styles[0]

    # What has no styles of all layers, and where they are to be had.
    space, styles = latent.space, latent.styles
    remedy = None
    if latent.companion is not None:
        remedy = "cut one face out of the canvas with `invert canvas --crop`"
    elif space.base == "Z" and space.layer is None:
        remedy = f"convert it with `invert convert --space {str(space).replace('Z', 'W')}`"
    elif space.base == "Z" or space.layer or isinstance(styles, tuple):
        remedy = "project its picture into W+, or into features of a layer that has companions"
    if remedy is not None:
        raise LatentError(f"a latent of {space} has no W+ styles; {remedy}")
    assert isinstance(styles, Tensor)
    return styles[0]
