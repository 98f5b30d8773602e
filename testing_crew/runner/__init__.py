"""Runs test files, contained, and judges them: `run.Runner` runs, `gate.judge` accepts or says why not."""
