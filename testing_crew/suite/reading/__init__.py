"""What a change is read from: git's word on the files, and the two texts of a test file."""
