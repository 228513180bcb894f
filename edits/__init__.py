"""Maps from latent to latent: along directions, masked mixtures, canvases, by layer, in between,
distributions.
"""

from invert.commands.shadowing import require

require("directions")  # of which all of it is made: without, a user's directions.py would be read
