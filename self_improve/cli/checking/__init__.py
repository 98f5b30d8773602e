"""``testing-crew check`` of a suite or a change: its options, and where its report goes."""
