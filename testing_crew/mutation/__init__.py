"""Small changes of the code under test, and what became of each."""
