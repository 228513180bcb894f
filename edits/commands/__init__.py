"""The commands that turn latents into latents; parsing and printing, heavy imports inside."""
