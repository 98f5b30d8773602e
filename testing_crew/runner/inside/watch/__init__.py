"""What is seen of a run from inside it, through pytest's hooks."""
