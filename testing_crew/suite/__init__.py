"""A whole suite judged at once, or what a change touches of it: `judge.check_suite`; the report's forms are in `formats`."""
