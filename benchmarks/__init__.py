"""How good a model is at writing and repairing tests."""
