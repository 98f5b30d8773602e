"""Lessons that engineers left in a project's history: found by `trace_logger.collect`, run again here, kept as traces."""
