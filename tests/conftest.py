"""What holds for all tests."""

import os

# Answers that are drawn beside the first are tested where they are made (test_crew, test_many); elsewhere they cost minutes.
os.environ["TESTING_CREW_CANDIDATES"] = "1"
