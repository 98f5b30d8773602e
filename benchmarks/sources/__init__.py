"""Where tasks come from, and what is looked at of them beyond what all benchmarks have."""
