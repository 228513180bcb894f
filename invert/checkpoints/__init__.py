"""Generator checkpoints: files of several formats in, one convention of names and values out.

One module per format (:mod:`stylegan2_ada`, :mod:`stylegan2_tf`, :mod:`rosinality`, :mod:`ours`). Nothing in
a file is ever imported, called or executed: pickles go through a symbolic machine (:mod:`pickle_machine`).
"""

from __future__ import annotations

from invert.checkpoints.checkpoint import JSON, Checkpoint
from invert.checkpoints.fingerprint import fingerprint
from invert.checkpoints.ours import write_checkpoint
from invert.checkpoints.reader import read_checkpoint

__all__ = ["JSON", "Checkpoint", "fingerprint", "read_checkpoint", "write_checkpoint"]
