"""Import and export Hugging Face checkpoints."""
