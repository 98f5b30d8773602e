"""What things cost here: each script compares, in one run, with what a person would use instead, and prints ratios."""
