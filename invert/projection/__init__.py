"""From a photograph to a latent, by optimization ([S] algorithm 4, chapter 7; [K] appendix D)."""
