"""What of the store is worth training on, and what must not be: duplicates, secrets, tasks of benchmarks."""
