"""How engineers work, read from a project's history: what they did, what they said of it, and each version of the code."""
