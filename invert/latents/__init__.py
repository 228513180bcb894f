"""Points of the latent spaces: their parts, sizes, files, conversions and distributions."""
