"""Generator networks as torch modules, StyleGAN2 and MobileStyleGAN: tensors in, tensors out."""
