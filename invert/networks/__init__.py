"""Synthesis networks as torch modules: StyleGAN2, MobileStyleGAN. Tensors in, tensors out; no
files, no latents.
"""
