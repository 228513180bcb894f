"""The file of a training run: all that its next update depends on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from invert.checkpoints import current
from invert.checkpoints.safe_torch import load_tensors
from invert.encoders.training import EncoderTraining
from invert.errors import ModelFileError
from invert.files.atomic_files import write_atomically
from invert.hardware.transfers import on_cpu


def save_run(run: EncoderTraining, path: Path) -> None:
    """Write everything that the next step depends on, for any device to go on."""
    state = {
        "fingerprint": run.generator.fingerprint,
        "layer": run.layer,
        "settings": asdict(run.settings),
        "start": run.start,
        "step": run.step,
        "seconds": run.seconds,
        "model": run.model.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
    }
    write_atomically(path, lambda file: torch.save(on_cpu(state), file))


def resume_run(run: EncoderTraining, path: Path) -> None:
    """Make a new run go on from a file of :func:`save_run`.

    Raises :class:`ModelFileError` unless the file is of this very run.
    """
    # The file, read without trust.
    try:
        state: Any = load_tensors(path)
    except ModelFileError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise ModelFileError(f"{path}: not a training run that can go on ({reason})") from error

    # This very run, then its state.
    try:
        same = (current(state["fingerprint"]), state["layer"], state["settings"])
        if same != (run.generator.fingerprint, run.layer, asdict(run.settings)):
            raise ModelFileError(
                f"{path}: a run of another generator, layer or settings; train into another file"
            )

        run.model.load_state_dict(state["model"])
        run.average.load_state_dict(state["average"])
        run.optimizer.load_state_dict(state["optimizer"])
        run.step, run.seconds = int(state["step"]), float(state["seconds"])
        run.start = state["start"]
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise ModelFileError(
            f"{path}: not a training run that can go on ({str(error).splitlines()[0][:120]})"
        ) from error
