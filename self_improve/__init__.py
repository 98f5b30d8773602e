"""The loop over all stages, and the command line."""
