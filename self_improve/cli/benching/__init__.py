"""What `testing-crew bench` does, command by command."""
