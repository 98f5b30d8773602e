"""Where ``testing-crew write`` puts its files, and how each is tried there."""
