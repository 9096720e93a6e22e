"""Models: heads and the encoder."""
