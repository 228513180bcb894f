"""What was done to a latent, kept in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invert.latents import Latent


def record(latent: Latent, edit: str, facts: Mapping[str, Any] | None = None) -> Latent:
    """The latent with `edit` and its JSON-like facts appended to `metadata["edits"]`.

    `metadata["made_by"]` becomes the edit's name: what an edit returns is no projection any more.
    """
    before = latent.metadata.get("edits", [])
    edits = [*(before if isinstance(before, list) else []), {"edit": edit, **(facts or {})}]  # files are not trusted
    return latent.replace(metadata={**latent.metadata, "made_by": edit, "edits": edits})
