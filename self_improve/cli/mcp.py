"""``testing-crew mcp``: the server for coding agents."""

from __future__ import annotations

import sys
from pathlib import Path

from testing_crew.errors import BackendUnavailable, UserMistake


def serve_agents(root: Path) -> None:
    """Serve at standard input and output until the client closes them.

    Raises UserMistake where ``root`` is no folder, and BackendUnavailable where the package ``mcp`` is missing.
    """
    if not root.is_dir():
        raise UserMistake(f"there is no folder {root}", hint="--root FOLDER: that of your project")
    try:
        from testing_crew.mcp_server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise BackendUnavailable("the server needs the package mcp", hint="pip install 'testing-crew[mcp]'") from None
    from testing_crew import config
    from testing_crew.runner.sandbox import try_ahead
    from trace_logger.notice import first_time_notice
    from trace_logger.workspace import trace_db

    try_ahead()
    if config.load(root, check_trust=False).config.traces.enabled and (notice := first_time_notice(trace_db())):
        print(notice, file=sys.stderr, flush=True)
    serve(root)
