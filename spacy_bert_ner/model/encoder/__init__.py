"""The encoder: from texts to vectors of their wordpieces. Only this package needs torch."""
