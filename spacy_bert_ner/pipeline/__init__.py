"""The component, and the modules that connect it to a pipeline."""
