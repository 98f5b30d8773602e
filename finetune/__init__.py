"""Data sets and training stages: rows in, weights or an adapter out."""
