"""``testing-crew check`` of a suite or a change: `suite.check_all`."""
