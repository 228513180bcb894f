"""Put a real photograph into a pretrained StyleGAN2 and change it there.

The names below are the public library; they are imported on first use, so `import invert` is
instant. `docs/architecture.md` names the folders.

Comments and docstrings cite three sources by letter, as in "[S] eq. 7.2":

[S]  M. Sypetkowski, "Spatial Latent Representations in Generative Adversarial Networks for Image
     Generation", University of Warsaw, 2021, arXiv:2303.14552: the spaces with features, noise and
     style maps, projection into them, the distribution term, encoders and attribute models.
[K]  T. Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020,
     arXiv:1912.04958: StyleGAN2, its demodulation and its projector (appendix D).
[A]  A. Heljakka et al., "Deep Automodulators", NeurIPS 2020, arXiv:1912.10321: style mixing with
     real photographs; some figures of its supplement are redrawn in `tools/figures`.

F_i and R_i are the feature map and the RGB map that enter layer i, counted from 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from invert.lazy_names import lazy_names

if TYPE_CHECKING:
    from invert.errors import InvertError
    from invert.generator import Generator
    from invert.hardware.allocator import keep_large_blocks
    from invert.images.image_files import ReadOptions
    from invert.images.images import write_png
    from invert.latents.latent import Latent
    from invert.latents.spaces import Space
    from invert.loading import load_generator
    from invert.metrics.perceptual import load_perceptual
    from invert.projection.framing import Framing
    from invert.projection.optimization import Projection, Step
    from invert.projection.projector import project
    from invert.projection.settings import ProjectionSettings, preset

HOMES = {
    "Framing": "invert.projection.framing",
    "Generator": "invert.generator",
    "InvertError": "invert.errors",
    "Latent": "invert.latents.latent",
    "Projection": "invert.projection.optimization",
    "ProjectionSettings": "invert.projection.settings",
    "ReadOptions": "invert.images.image_files",
    "Space": "invert.latents.spaces",
    "Step": "invert.projection.optimization",
    "keep_large_blocks": "invert.hardware.allocator",
    "load_generator": "invert.loading",
    "load_perceptual": "invert.metrics.perceptual",
    "preset": "invert.projection.settings",
    "project": "invert.projection.projector",
    "write_png": "invert.images.images",
}

__all__ = [
    "Framing",
    "Generator",
    "InvertError",
    "Latent",
    "Projection",
    "ProjectionSettings",
    "ReadOptions",
    "Space",
    "Step",
    "keep_large_blocks",
    "load_generator",
    "load_perceptual",
    "preset",
    "project",
    "write_png",
]

__getattr__, __dir__ = lazy_names(globals(), HOMES)
