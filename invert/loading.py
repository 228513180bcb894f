"""Generators by the name of a registered network, or from a checkpoint of any format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from invert.checkpoints import Checkpoint, fingerprint, read_checkpoint
from invert.errors import ModelFileError, UsageError
from invert.files.addresses import refuse_address
from invert.files.file_kinds import FileKind
from invert.files.regular_files import is_missing
from invert.generator import Generator
from invert.hardware.modes import default_modes, ordinary
from invert.networks.network import SynthesisNetwork
from invert.recognition import NO_CHECKPOINT, expecting


@default_modes()
def load_generator(
    name_or_path: str | Path = "ffhq-mobile",
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    allow_nonfinite: bool = False,
) -> Generator:
    """A generator by registry name or from a checkpoint file of any supported format.

    A registered network is downloaded on first use, unless it comes with the package. Raises
    :class:`ModelFileError` for an unknown name, and for a file that holds no generator.
    """
    from invert.weights import BUNDLED, MODELS, ensure

    name = str(name_or_path)
    refuse_address(name)
    downloads = [name for name, model in MODELS.items() if model.kind == "generator"]

    # A name, of a download or of the package, or else a file.
    source: Path | None
    if name in downloads:
        path, source = ensure(name), None
    elif name in BUNDLED:
        path, source = BUNDLED[name].path, None
    else:
        path = source = Path(name_or_path)
        if is_missing(path):
            known = ", ".join([*downloads, *BUNDLED])
            raise ModelFileError(f"{path}: neither a file nor a known network; known: {known}")
        name = path.stem

    try:
        with expecting(FileKind.CHECKPOINT, path, NO_CHECKPOINT):
            checkpoint = read_checkpoint(path, allow_nonfinite=allow_nonfinite)
        return generator_from_checkpoint(
            checkpoint, name=name, path=source, device=device, dtype=dtype
        )
    except ModelFileError as error:
        if str(error).startswith(str(path)):
            raise
        raise ModelFileError(f"{path}: {error}") from error


@default_modes()
def generator_from_checkpoint(
    checkpoint: Checkpoint,
    *,
    name: str = "",
    path: Path | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Generator:
    """The generator of a checkpoint; `path` is the file that its latents remember.

    float16 and bfloat16 mean mixed precision, which needs CUDA: :class:`UsageError` elsewhere.
    float64 computes in double precision.
    """
    device = torch.device(device)
    half = dtype in (torch.float16, torch.bfloat16)
    if half and device.type == "cpu":
        raise UsageError(
            f"{dtype} means mixed precision, which needs CUDA, got {device}; use torch.float32"
        )

    # Tensors that were read in inference_mode would be weights that no gradient passes.
    tensors = {name: ordinary(t) for name, t in checkpoint.tensors.items()}
    checkpoint = replace(checkpoint, tensors=tensors)

    # Mixed precision keeps the weights in float32; autocast rounds what is computed with them.
    network = build_network(checkpoint).to(device=device, dtype=torch.float32 if half else dtype)
    identity = fingerprint(checkpoint.tensors, checkpoint.config)
    generator = Generator(network, fingerprint=identity, name=name, path=path)
    generator.autocast = dtype if half else None
    return generator


def build_network(checkpoint: Checkpoint) -> SynthesisNetwork:
    """The network of a checkpoint. Raises :class:`ModelFileError` for an unknown architecture."""
    if checkpoint.architecture == "stylegan2":
        from invert.networks.stylegan2 import StyleGAN2

        return StyleGAN2(checkpoint.tensors, **checkpoint.config)
    if checkpoint.architecture == "mobile-stylegan":
        from invert.networks.mobile_stylegan import MobileStyleGAN

        return MobileStyleGAN(checkpoint.tensors)
    raise ModelFileError(
        f"supported architectures: stylegan2, mobile-stylegan; got {checkpoint.architecture!r}"
    )
