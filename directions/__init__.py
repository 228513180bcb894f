"""Where edits come from: directions in W, learned, measured, imported, and a catalogue of them."""
