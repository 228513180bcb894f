"""The tensors of a StyleGAN2: their names, their shapes, and the check that they are one network's.

Names are those of StyleGAN2-ADA-PyTorch: `mapping.fc{k}`, `mapping.embed`, `synthesis.b{r}.conv0`,
`.conv1` and `.torgb` for the resolutions r = 4, 8, …. Every size follows from a few of the shapes.

A generator of FNZ_i ([S] chapter 8) starts at a later block, r = 4 · 2^((i − 1)/2) for an odd i:
the layers before i do not exist, and the block's `const` is a stored draw of F_i.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from torch import Tensor

from invert.errors import ModelFileError
from invert.networks.network import Size

MAX_CONST_SIDE = 32  # cells of the learned constant, where it is no 4×4 square
MAX_LISTED = 5  # tensors that an error names


def subset(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below `prefix`, without it."""
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def mapping_depth(tensors: Mapping[str, Tensor]) -> int:
    """The number of fully connected layers of the mapping network."""
    return sum(1 for k in tensors if k.startswith("mapping.fc") and k.endswith(".weight"))


def resolutions(tensors: Mapping[str, Tensor]) -> list[int]:
    """[4, 8, …, R] of the synthesis blocks that are there."""
    matches = (re.match(r"synthesis\.b([1-9][0-9]{0,4})\.", name) for name in tensors)
    return sorted({int(match[1]) for match in matches if match})


def first_block(tensors: Mapping[str, Tensor]) -> int:
    """The block that has the constant: 4, or a later one in a generator of FNZ_i."""
    return next((r for r in resolutions(tensors) if f"synthesis.b{r}.const" in tensors), 4)


def first_layer(block: int) -> int:
    """The layer i whose input is the constant of a block: 1 at 4, 3 at 8, 5 at 16, …"""
    return 2 * (block // 4).bit_length() - 1


def size_at(start: Sequence[int], resolution: int) -> Size:
    """(height, width) of the maps of block `resolution`; `start` is that of block 4."""
    return start[0] * resolution // 4, start[1] * resolution // 4


def check_stylegan2(tensors: Mapping[str, Tensor]) -> None:
    """Raise :class:`ModelFileError` unless every tensor of one generator is there, in its shape.

    Tensors of other names are not looked at.
    """
    # Blocks and layers, from which the shapes follow.
    sizes, block = resolutions(tensors), first_block(tensors)
    if len(sizes) < 2 or sizes != [block << k for k in range(len(sizes))]:
        expected = f"{block}, {2 * block}, {4 * block}, …"
        raise ModelFileError(f"expected synthesis blocks {expected}; found {sizes or 'none'}")
    if "mapping.fc0.weight" not in tensors:
        raise ModelFileError("expected mapping.fc0.weight; the mapping network is missing")
    check_const(tensors)

    # Shapes.
    found = {name: list(t.shape) for name, t in tensors.items()}
    problems = [
        f"{name}: expected {list(shape)}, found {found.get(name, 'nothing')}"
        for name, shape in expected_shapes(tensors).items()
        if found.get(name) != list(shape)
    ]
    if problems:
        left = len(problems) - MAX_LISTED
        more = f" (and {left} more)" if left > 0 else ""
        listed = "; ".join(problems[:MAX_LISTED])
        raise ModelFileError(f"not a StyleGAN2 generator: {listed}{more}")

    # The first layer reads z and the embedded label, side by side.
    embed = tensors.get("mapping.embed.weight")
    if embed is not None and tensors["mapping.fc0.weight"].shape[1] <= embed.shape[0]:
        raise ModelFileError(
            "not a StyleGAN2 generator: mapping.fc0.weight has no room for z beside the label"
        )


def check_const(tensors: Mapping[str, Tensor]) -> None:
    """Raise :class:`ModelFileError` unless the constant is [C, 4, 4], or no square.

    StyleGAN-Human has 4×2; forks for other aspects have any, such as 4×6. All later sizes are its
    doubles, also that of a constant at a later block.
    """
    block = first_block(tensors)
    const = tensors.get(f"synthesis.b{block}.const")
    if const is None or const.ndim != 3:
        return  # named with its shape by the caller

    times = block // 4
    height, width = const.shape[1:]
    possible = min(height, width) >= times and max(height, width) <= MAX_CONST_SIDE * times
    whole = height % times == 0 and width % times == 0
    if not possible or not whole or (height == width and height != block):
        multiples = f", in multiples of {times}" if times > 1 else ""
        raise ModelFileError(
            f"synthesis.b{block}.const: expected {block}×{block} cells, or a rectangle of at most "
            f"{MAX_CONST_SIDE * times} a side{multiples}, got {height}×{width}"
        )


def const_size(tensors: Mapping[str, Tensor]) -> Size:
    """(height, width) of the constant at block 4, as most maps have it: the scaled noise maps' and
    its own.

    A majority, so that the one map of another size is named as the wrong one.
    """
    votes: Counter[Size] = Counter()

    for r in resolutions(tensors):
        for part in ("const", "conv0.noise_const", "conv1.noise_const"):
            name = f"synthesis.b{r}.{part}"
            t = tensors.get(name)
            if t is not None and t.ndim >= 2:
                votes[t.shape[-2] * 4 // r, t.shape[-1] * 4 // r] += 1

    # Where there is no majority, the constant's: it was counted first.
    return max(votes, key=votes.__getitem__, default=(-1, -1))


def expected_shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Name → shape of a whole generator, from the tensors that decide its widths and sizes.

    A size of -1 stands for one that cannot be told, as its tensor is missing.
    """
    return mapping_shapes(tensors) | synthesis_shapes(tensors)


def mapping_shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Name → shape of the mapping network."""
    depth = mapping_depth(tensors)
    shapes: dict[str, tuple[int, ...]] = {}

    # The label's embedding, in conditional networks.
    if c_dim := dim(tensors, "mapping.embed.weight", 1, missing=0):
        embed_dim = dim(tensors, "mapping.embed.weight", 0)
        shapes |= {"mapping.embed.weight": (embed_dim, c_dim), "mapping.embed.bias": (embed_dim,)}

    # Fully connected layers, each as wide as the one before it puts out.
    width = dim(tensors, "mapping.fc0.weight", 1)
    for k in range(depth):
        out = dim(tensors, f"mapping.fc{k}.weight", 0)
        shapes |= {f"mapping.fc{k}.weight": (out, width), f"mapping.fc{k}.bias": (out,)}
        width = out

    # The mean w, which training files of some projects lack.
    if "mapping.w_avg" in tensors:
        shapes["mapping.w_avg"] = (dim(tensors, f"mapping.fc{depth - 1}.weight", 0),)
    return shapes


def synthesis_shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Name → shape of the synthesis network."""
    w_dim = dim(tensors, f"mapping.fc{mapping_depth(tensors) - 1}.weight", 0)
    start = const_size(tensors)
    block = first_block(tensors)
    channels = dim(tensors, f"synthesis.b{block}.const", 0)
    shapes: dict[str, tuple[int, ...]] = {
        f"synthesis.b{block}.const": (channels, *size_at(start, block))
    }

    for r in resolutions(tensors):
        out = dim(tensors, f"synthesis.b{r}.conv1.weight", 0)

        # Convolutions 3×3 with noise; the block of the constant has the second alone.
        for conv in ("conv0", "conv1")[r == block :]:
            p = f"synthesis.b{r}.{conv}."
            shapes |= {p + "weight": (out, channels, 3, 3), p + "bias": (out,)}
            shapes |= {p + "affine.weight": (channels, w_dim), p + "affine.bias": (channels,)}
            shapes |= {p + "noise_const": size_at(start, r), p + "noise_strength": ()}
            channels = out

        # The RGB addend.
        p = f"synthesis.b{r}.torgb."
        shapes |= {p + "weight": (3, out, 1, 1), p + "bias": (3,)}
        shapes |= {p + "affine.weight": (out, w_dim), p + "affine.bias": (out,)}

    return shapes


def dim(tensors: Mapping[str, Tensor], name: str, axis: int, missing: int = -1) -> int:
    """The size of one axis of a tensor; `missing` without the tensor, -1 without the axis."""
    t = tensors.get(name)
    if t is None:
        return missing
    return t.shape[axis] if t.ndim > axis else -1
