"""What was done to a latent, kept in its metadata: enough to do it again, and small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from directions.direction import Direction
from invert.arguments import plain
from invert.checkpoints import fingerprint
from invert.hardware.precision import widened
from invert.latents.digests import latent_digest
from invert.latents.latent import Latent

MAX_EDITS = 100  # entries that a latent carries; older ones are counted
MAX_PLACEMENTS = 32  # latents of one canvas that an entry names; all are counted
MAX_TEXT = 100  # characters of a text in an entry
DIGITS = 16  # of a SHA-256 in hex: to recognize, not to protect


def record(latent: Latent, edit: str, details: Mapping[str, Any] | None = None) -> Latent:
    """The latent with an entry of `edit` and its details added to `metadata["edits"]`.

    Details are JSON-like, or have numbers of numpy and torch, which become Python's; those that are
    None are left out. Of more than MAX_EDITS edits the last
    ones stay, and `metadata["earlier_edits"]` counts the others. `metadata["made_by"]` becomes the
    edit's name, as the result of an edit is no projection any more.
    """
    metadata = dict(latent.metadata)
    before, earlier = metadata.pop("edits", None), metadata.pop("earlier_edits", None)
    before = before if isinstance(before, list) else []  # files are not trusted
    earlier = earlier if isinstance(earlier, int) and earlier > 0 else 0

    entry = {
        "edit": edit,
        **{name: plain(value) for name, value in (details or {}).items() if value is not None},
    }
    edits = [*before, entry]
    earlier += max(0, len(edits) - MAX_EDITS)

    metadata |= {"made_by": edit, "edits": edits[-MAX_EDITS:]}
    return latent.replace(metadata=metadata | ({"earlier_edits": earlier} if earlier else {}))


def digest(tensors: Mapping[str, Tensor]) -> str:
    """The first digits of the SHA-256 of names, shapes and float32 values.

    The same on every device.
    """
    return fingerprint(tensors, {})[:DIGITS]


def describe_latent(latent: Latent) -> dict[str, Any]:
    """How an entry names another latent: its space, its digest and its photograph.

    The digest is the one in `made_from`.
    """
    details: dict[str, Any] = {"space": str(latent.space), "sha256": latent_digest(latent)[:DIGITS]}
    image = latent.metadata.get("image")
    file = image.get("file") if isinstance(image, Mapping) else None
    return details | ({"image": file[:MAX_TEXT]} if isinstance(file, str) else {})


def describe_direction(direction: Direction) -> dict[str, Any]:
    """The name of a direction, the digest of its vectors, its W space and σ, the unit of strength.

    The key of σ is "step", as in files of directions.
    """
    return {
        "name": direction.name,
        "sha256": digest({"vectors": direction.vectors}),
        "w_space": direction.w_space[:MAX_TEXT],
        "step": direction.sigma,
    }


def describe_offset(offset: Tensor) -> dict[str, Any]:
    """Digest and Euclidean norm of an offset [num_ws, w_dim] that belongs to no direction."""
    return {"sha256": digest({"offset": offset}), "norm": offset.norm().item()}


def styles_moved(offset: Tensor) -> list[int]:
    """The half-open range of styles that an offset [num_ws, w_dim] moves; empty for zero."""
    rows = offset.flatten(1).any(dim=1).nonzero().flatten().tolist()
    return [rows[0], rows[-1] + 1] if rows else [0, 0]


def describe_mask(mask: Tensor | None) -> dict[str, Any] | None:
    """Size (width, height) and digest of a mask [1, 1, H, W], and the share that it covers."""
    if mask is None:
        return None
    height, width = mask.shape[2:]
    covered = widened(mask).mean().item()
    return {"size": [width, height], "sha256": digest({"mask": mask}), "covered": round(covered, 6)}
