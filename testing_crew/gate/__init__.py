"""What makes a test file worth keeping."""
