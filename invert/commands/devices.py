"""The device that a command computes on: chosen, checked, and said once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from invert.commands.terminal import say
from invert.errors import UsageError

if TYPE_CHECKING:
    import torch

SAID = "invert.device"  # key of the running command's notes


def pick_device(name: str) -> torch.device:
    """The torch device of a name, "auto" being CUDA's where there is one.

    Raises :class:`UsageError` for a name that torch does not know and a device that is not here.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        module = torch.get_device_module(device)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name!r}; known: auto, cpu, cuda, cuda:N, mps") from error

    if not module.is_available():
        raise UsageError(f"device {name} is not available here; use --device cpu")
    count = module.device_count()
    if device.index is not None and device.index >= count:
        last = f"{device.type}:{count - 1}"
        raise UsageError(f"device {name} is not here, the last one is {last}; use --device {last}")
    return device


def say_device(device: torch.device) -> None:
    """Name the device on stderr, unless the running command has done so before."""
    notes = {} if (context := click.get_current_context(silent=True)) is None else context.meta
    if notes.get(SAID) != device:
        notes[SAID] = device
        say(f"device: {described(device)}", err=True)


def described(device: torch.device) -> str:
    """Its name, and what the hardware calls itself where it says so: cuda:0 (NVIDIA H100)."""
    import torch

    module = torch.get_device_module(device)
    if not hasattr(module, "get_device_name"):
        return device.type
    index = module.current_device() if device.index is None else device.index
    return f"{device.type}:{index} ({module.get_device_name(index)})"
