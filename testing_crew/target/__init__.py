"""The code under test: where it stands, how it is imported, which Python runs it."""
