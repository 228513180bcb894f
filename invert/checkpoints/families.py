"""Generators of other families, by class and tensor names: a refusal calls them what they are."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NONE = "there is no way to read it here, a StyleGAN2 is needed"
_ORIGINAL = "give the .pkl or .pt file that it was converted from"
_EG3D = f"a TriPlaneGenerator (EG3D, which makes 3-D scenes); {_NONE}"
_BASICSR = f"BasicSR's StyleGAN2 (GFPGAN's decoder is one); {_ORIGINAL}"
_LUCIDRAINS = f"a GAN of lucidrains' stylegan2-pytorch, another network; {_NONE}"

# class name -> what it is, what to do
_CLASSES = {
    "TriPlaneGenerator": _EG3D,
    "SuperresGenerator": f"StyleGAN-XL; {_NONE}",
    "StyleGAN2GeneratorClean": _BASICSR,
}

# Patterns that must each be found in some name, under any prefix -> what it is, what to do. The
# first that fits counts.
_NAMES: tuple[tuple[tuple[str, ...], str], ...] = (
    ((r"backbone\.synthesis\.", r"superresolution\.|decoder\.net\."), _EG3D),
    ((r"\bsynthesis\.(L0_|input\b)", r"\bmapping\.embed_proj\b"), f"StyleGAN-XL; {_NONE}"),
    ((r"\bsynthesis\.(L0_|input\b)",), f"StyleGAN3; {_NONE}"),
    (
        (r"\bsynthesis\.layer0\.apply_noise\b",),
        f"genforce's StyleGAN of the first version; {_NONE}",
    ),
    (
        (r"\bmapping\.dense0\b|\bsynthesis\.early_layer\b|\bsynthesis\.layer0\.",),
        f"genforce's StyleGAN2; {_ORIGINAL}",
    ),
    ((r"\bstyle_mapping\.",), f"mmgeneration's StyleGAN2; {_ORIGINAL}"),
    ((r"\bstyle_mlp\.|\bstyle_convs?\d*\.",), _BASICSR),
    ((r"\bG\.initial_block$|\bblocks\.0\.to_(style|noise)1\.",), _LUCIDRAINS),
    ((r"\bg_synthesis\.|\bprogression\.0\.",), f"a StyleGAN of the first version; {_NONE}"),
    ((r"\binput\.input$", r"\blayers\.0\.blocks\."), f"StyleSwin; {_NONE}"),
    ((r"\bdiffusion_model\.|\bdown_blocks\.0\.",), f"a diffusion model; {_NONE}"),
    (
        (r"\bencoder\.(input_layer|body)\.",),
        "an encoder without its generator; give the generator's file",
    ),
)


def family_of_class(class_name: str) -> str | None:
    """What a module of this class is, and what to do; None unless it is known to be foreign."""
    return _CLASSES.get(class_name)


def family_of_names(names: Iterable[str]) -> str | None:
    """What a network with tensors of these names is, and what to do; None unless it is foreign."""
    listed = "\n".join(names)
    for patterns, family in _NAMES:
        if all(re.search(pattern, listed, re.MULTILINE) for pattern in patterns):
            return family
    return None
