"""Documents to tags and back. NumPy and spaCy alone."""
