"""How far two images are apart, and a set of values from generated ones."""
