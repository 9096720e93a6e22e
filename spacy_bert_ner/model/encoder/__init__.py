"""The encoder: texts to vectors of their wordpieces. The one room that needs torch."""
