"""The component, and how it fits into a pipeline."""
