"""Directions of W that edits follow: learned, factorized, imported, measured, and a catalogue."""
