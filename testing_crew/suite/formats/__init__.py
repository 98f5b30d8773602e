"""A `SuiteReport` as text for where people look: each module has ``render(report) -> str``."""
