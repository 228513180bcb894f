"""Generators that come with the package: small ones, trained here, under the package's licence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class BundledNetwork:
    """A checkpoint in the package's folder `networks`, with its card beside it."""

    name: str
    licence: str
    summary: str

    @property
    def path(self) -> Path:
        """The checkpoint."""
        return Path(str(resources.files(__package__))) / "networks" / f"{self.name}.safetensors"

    @property
    def card(self) -> str:
        """What it is and how it was made, in Markdown."""
        return resources.files(__package__).joinpath(f"networks/{self.name}.md").read_text("utf-8")


_LICENCE = "MIT; trained on NASA's Blue Marble, in the public domain"

BUNDLED: Mapping[str, BundledNetwork] = MappingProxyType(
    {
        network.name: network
        for network in (
            BundledNetwork(
                "earth-64",
                _LICENCE,
                "land seen from above: FNZ_3 at 64 px, pictures of any size",
            ),
            BundledNetwork(
                "earth-64-plain",
                _LICENCE,
                "land seen from above: a plain StyleGAN2 at 64 px",
            ),
        )
    }
)
