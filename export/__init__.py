"""From weights to a model tag: convert, prove, publish."""
