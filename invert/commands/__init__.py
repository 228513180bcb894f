"""The commands of `invert` that need no directions and no edits; parsing and printing, heavy
imports inside.
"""
