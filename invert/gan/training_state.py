"""The file of a run: all that its next step depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from invert.checkpoints.checkpoint import stylegan2_config
from invert.checkpoints.safe_torch import load_tensors
from invert.errors import ModelFileError, UsageError
from invert.files.atomic_files import write_atomically
from invert.gan.settings import GanSettings
from invert.gan.trainable_generator import computed_by
from invert.gan.training import GanTraining
from invert.hardware.transfers import on_cpu

SCALARS = ("probability", "path_mean", "r1", "signs")
# Of the settings, those that may change when a run goes on.
FREE = ("half",)


def save_run(run: GanTraining, path: Path) -> None:
    """Write everything that the next step depends on, for any device to go on."""
    state = {
        "settings": asdict(run.settings),
        "start": run.start,
        "data": run.data,
        "config": computed_by(run.generator.config),
        "step": run.step,
        "seconds": run.seconds,
        "parameters": {k: p.detach() for k, p in run.generator.parameters.items()},
        "fixed": run.generator.fixed,
        "average": run.average,
        "discriminator": run.discriminator.state_dict(),
        "generator_adam": run.generator_adam.state_dict(),
        "discriminator_adam": run.discriminator_adam.state_dict(),
        **{name: getattr(run, name) for name in SCALARS},
    }
    write_atomically(path, lambda file: torch.save(on_cpu(state), file))


def resume_run(run: GanTraining, path: Path) -> None:
    """Make a new run go on from a file of :func:`save_run`.

    Raises :class:`ModelFileError` unless the file is of a run of these settings,
    :class:`UsageError` for one that was trained on other data.
    """
    state = read_state(path)
    try:
        mine = {k: v for k, v in asdict(run.settings).items() if k not in FREE}
        theirs = {k: v for k, v in state["settings"].items() if k not in FREE}
        if mine != theirs:
            changed = sorted(k for k in mine if mine[k] != theirs.get(k))
            raise ModelFileError(
                f"{path}: a run of other settings ({', '.join(changed)}); train into another file"
            )
        if None not in (run.data, state.get("data")) and run.data != state["data"]:
            raise UsageError(
                f"{path}: a run on other data, or on these before pictures were added, removed or "
                "changed; go on with its data, or begin another one with --start"
            )

        run.generator.config |= config_of(state)
        take(run.generator.parameters, state["parameters"])
        take(run.generator.fixed, state["fixed"])
        take(run.average, state["average"])
        run.discriminator.load_state_dict(state["discriminator"])
        run.generator_adam.load_state_dict(state["generator_adam"])
        run.discriminator_adam.load_state_dict(state["discriminator_adam"])
        for name in SCALARS:
            setattr(run, name, state[name].to(run.device))
        run.step, run.seconds = int(state["step"]), float(state["seconds"])
        run.start = state["start"]
    except UsageError:
        raise
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise damaged(path, error) from error


def branch_run(run: GanTraining, path: Path, name: str) -> None:
    """Make a new run begin with the networks of another one, which may have begun at another layer.

    The layers that both have are taken over, also of the average, and the discriminator as a whole,
    as [S] 8.2 branches FNZ_i off a plain training. Adam begins anew. Raises
    :class:`ModelFileError` for a file of anything else, :class:`UsageError` for other widths, and
    for another size.
    """
    state = read_state(path)
    try:
        tensors = {**state["parameters"], **state["fixed"]}
        run.generator.check_fits(tensors)
        check_discriminators(run.discriminator.state_dict(), state["discriminator"])

        run.begin_from(tensors, config_of(state), name)
        for own, average in run.average.items():
            if own in state["average"] and state["average"][own].shape == average.shape:
                average.copy_(state["average"][own])
        run.discriminator.load_state_dict(state["discriminator"])
        run.path_mean = state["path_mean"].to(run.device)
        run.probability = state["probability"].to(run.device)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise damaged(path, error) from error


def saved_settings(path: Path) -> dict[str, Any]:
    """The settings in a file of :func:`save_run`, as arguments of :class:`GanSettings`.

    Raises :class:`ModelFileError` for a file of anything else.
    """
    state = read_state(path)
    try:
        return {f.name: state["settings"][f.name] for f in fields(GanSettings)}
    except (KeyError, TypeError) as error:
        raise damaged(path, error) from error


def config_of(state: Any) -> dict[str, Any]:
    """How the layers of a run's generator are computed; the default for runs that did not say."""
    return computed_by(state.get("config", stylegan2_config()))


def check_discriminators(own: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> None:
    """Raise :class:`UsageError` unless all tensors of two discriminators agree in shape."""
    shapes = [{k: list(v.shape) for k, v in each.items()} for each in (own, others)]
    odd = sorted(k for k in own.keys() | others.keys() if shapes[0].get(k) != shapes[1].get(k))
    if odd:
        mine, theirs = (each.get(odd[0], "missing") for each in shapes)
        raise UsageError(
            f"expected a run of the same size and widths, its discriminator's {odd[0]} is {theirs} "
            f"and that of the new one {mine}; leave out --size, --channel-base and --channel-max, "
            "or move the run's folder away to begin with a new discriminator"
        )


def read_state(path: Path) -> Any:
    """What is in the file of a run, read without trust."""
    try:
        return load_tensors(path)
    except ModelFileError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise ModelFileError(f"{path}: not a training run that can go on ({reason})") from error


def damaged(path: Path, error: Exception) -> ModelFileError:
    """The error for a file that lacks something."""
    reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    return ModelFileError(f"{path}: not a training run that can go on ({reason})")


@torch.no_grad()
def take(own: dict[str, Any], others: dict[str, Tensor]) -> None:
    """Copy tensors of the same names in place. Raises :class:`KeyError` for other names."""
    if own.keys() != others.keys():
        raise KeyError(f"other tensors: {sorted(own.keys() ^ others.keys())[:3]}")
    for name, tensor in own.items():
        tensor.copy_(others[name])
