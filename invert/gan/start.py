"""The network that a training begins with: its sizes, its layers, the discriminator of its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from invert.checkpoints import Checkpoint, read_checkpoint
from invert.errors import UsageError
from invert.files.file_kinds import FileKind
from invert.files.run_folder import STATE
from invert.gan.training import GanTraining
from invert.gan.training_state import branch_run, saved_settings
from invert.networks.initialize import width_at
from invert.networks.stylegan2_tensors import mapping_depth, resolutions
from invert.recognition import NO_CHECKPOINT, expecting

SIZES = ("resolution", "channel_base", "channel_max", "z_dim", "w_dim", "mapping_layers")


def run_beside(network: Path) -> Path | None:
    """The state of the run that wrote a network, with both networks; None if it is not there."""
    state = network.with_suffix(".run") / STATE
    return state if state.exists() else None


def sizes_of(start: Path) -> dict[str, Any]:
    """The :data:`SIZES` among the settings of a training that begins with a network.

    Raises :class:`UsageError` for a network of another architecture, and for widths that
    :class:`GanSettings` cannot say.
    """
    state = run_beside(start)
    if state is not None:
        saved = saved_settings(state)
        return {name: saved[name] for name in SIZES}

    # Of a network alone, from its shapes.
    tensors = read_start(start).tensors
    widths = {r: len(tensors[f"synthesis.b{r}.conv1.weight"]) for r in resolutions(tensors)}
    base, most = max(r * width for r, width in widths.items()), max(widths.values())
    if any(width != width_at(r, base, most) for r, width in widths.items()):
        raise UsageError(
            f"{start}: expected widths min(channel_base / r, channel_max) at resolution r, got "
            f"{list(widths.values())} from {min(widths)} px on; begin with another network"
        )
    depth = mapping_depth(tensors)
    return {
        "resolution": max(widths),
        "channel_base": base,
        "channel_max": most,
        "z_dim": tensors["mapping.fc0.weight"].shape[1],
        "w_dim": len(tensors[f"mapping.fc{depth - 1}.weight"]),
        "mapping_layers": depth,
    }


def begin_from_file(training: GanTraining, start: Path) -> None:
    """Begin with the networks of a run, or with a generator alone. Raises :class:`UsageError` for
    one of another architecture or other widths.
    """
    state = run_beside(start)
    if state is not None:
        branch_run(training, state, start.name)
        return
    checkpoint = read_start(start)
    try:
        training.begin_from(checkpoint.tensors, checkpoint.config, start.name)
    except UsageError as error:
        raise UsageError(f"{start}: {error}") from None


def read_start(start: Path) -> Checkpoint:
    """The StyleGAN2 in a file, of any format. Raises :class:`UsageError` for another architecture
    and for a conditional one.
    """
    with expecting(FileKind.CHECKPOINT, start, NO_CHECKPOINT):
        checkpoint = read_checkpoint(start)
    if checkpoint.architecture != "stylegan2":
        raise UsageError(f"{start}: expected a StyleGAN2, got {checkpoint.architecture}")
    if "mapping.embed.weight" in checkpoint.tensors:
        raise UsageError(
            f"{start}: expected a network without classes, got a conditional one; begin with "
            "another network"
        )
    return checkpoint
