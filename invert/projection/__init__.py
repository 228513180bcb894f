"""Projection: a photograph to a point by optimization ([S] algorithm 4, chapter 7; [K] appendix D)."""
