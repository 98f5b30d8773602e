"""The command line ``testing-crew``."""
