"""The commands of `invert directions`; parsing and printing, heavy imports inside."""
