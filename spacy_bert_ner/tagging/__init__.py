"""Convert documents to tags and back. Needs only NumPy and spaCy."""
