"""Points of the latent spaces: what they are, their sizes, their files, conversions and
distributions.
"""
