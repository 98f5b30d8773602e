"""The repair loop: a file written, run, judged, mended, until it is accepted."""
