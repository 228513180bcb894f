"""Generator checkpoints: files of several formats in, one convention of names and values out.

Two stages: :mod:`container` turns a file of any container into inert nodes, :mod:`layout` finds the
generator among them. Then one module per naming (:mod:`stylegan2_ada`, :mod:`stylegan2_tf`,
:mod:`rosinality`, :mod:`ours`) makes it canonical. Nothing in a file is ever imported, called or
executed: pickles go through a symbolic machine (:mod:`pickle_machine`). docs/checkpoints.md has the
table of what is read.
"""

from __future__ import annotations

from invert.checkpoints.checkpoint import JSON, Checkpoint
from invert.checkpoints.fingerprint import current, fingerprint
from invert.checkpoints.ours import write_checkpoint
from invert.checkpoints.reader import read_checkpoint

__all__ = ["JSON", "Checkpoint", "current", "fingerprint", "read_checkpoint", "write_checkpoint"]
