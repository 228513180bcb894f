"""Maps from latent to latent: along directions, masked mixtures, canvases, by layer, in between, distributions."""
