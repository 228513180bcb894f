"""The old path of :func:`edits.along_direction.edit`."""

from edits.along_direction import edit

__all__ = ["edit"]
