"""The old room of training: encoders are trained in :mod:`invert.encoders`."""
