"""Encoders: an image to a point in one forward pass, and their training ([S] algorithm 3)."""
