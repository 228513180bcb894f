"""The commands of `invert` that need no directions and no edits.

They parse and print; what is slow to import is imported inside the functions.
"""
