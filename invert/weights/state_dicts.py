"""Weights in an archive that are a PyTorch state dictionary."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from invert.errors import ModelFileError

State = Mapping[str, Tensor]
REFUSED = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
)


def read_state_dict(
    path: str, content: bytes, of: str, rename: Callable[[State], State]
) -> dict[str, Tensor]:
    """What `rename` makes of the state dictionary `content`, float32 and contiguous. No code in it
    is run.

    Raises :class:`ModelFileError`, "`path`: not weights of `of`", when it is not one or `rename`
    refuses it.
    """
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return {name: tensor.float().contiguous() for name, tensor in rename(state).items()}
    except REFUSED as error:
        raise ModelFileError(f"{path}: not weights of {of} ({error})") from error
