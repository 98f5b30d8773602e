"""The person's project: the code under test, how it is imported there, which Python and which options of pytest are its own."""
