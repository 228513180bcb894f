"""Pictures: files, colours, masks, animations, and the square around a face."""
