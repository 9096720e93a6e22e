"""Adapters for engines that distribute work over processes and machines."""
