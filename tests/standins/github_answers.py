"""GitHub's answers as its REST documentation shows them: users, comments, reviews, remarks on a line."""

from __future__ import annotations

import time
from typing import Any

Json = dict[str, Any]


def at(minute: int) -> str:
    """A time as the API writes it, ``minute`` minutes into 2024."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1704067200 + 60 * minute))


def user(login: str | None) -> Json | None:
    """A user; None for one who has left, whom some answers give as null."""
    if login is None:
        return None
    kind = "Bot" if login.endswith("[bot]") else "User"
    here = f"https://api.github.com/users/{login}"
    return {"login": login, "id": sum(map(ord, login)), "node_id": "U_", "url": here, "type": kind, "site_admin": False}


def reactions(**counts: int) -> Json:
    """Reactions as they come inline; ``up`` and ``down`` are +1 and -1."""
    names = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    given = {{"up": "+1", "down": "-1"}.get(name, name): count for name, count in counts.items()}
    return {"url": "…", "total_count": sum(given.values()), **dict.fromkeys(names, 0), **given}


def comment(number: int, login: str | None, body: str | None, minute: int = 5, **fields: Any) -> Json:
    """A comment on an issue or a pull request."""
    return {
        "id": number,
        "node_id": "IC_",
        "user": user(login),
        "created_at": at(minute),
        "updated_at": at(minute),
        "author_association": "NONE",
        "body": body,
        "reactions": reactions(),
        "performed_via_github_app": None,
        **fields,
    }


def review(number: int, login: str | None, state: str, body: str | None = "", minute: int = 6, **fields: Any) -> Json:
    """A review of a pull request."""
    return {
        "id": number,
        "node_id": "PRR_",
        "user": user(login),
        "body": body,
        "state": state,
        "author_association": "MEMBER",
        "commit_id": "c" * 40,
        **({} if state == "PENDING" else {"submitted_at": at(minute)}),
        **fields,
    }


def review_comment(number: int, login: str | None, body: str | None, minute: int = 7, **fields: Any) -> Json:
    """A remark on a line of a pull request; ``line`` is null, as it is once later commits took the line away."""
    return {
        **comment(number, login, body, minute),
        "pull_request_review_id": 900,
        "diff_hunk": "@@ -1,2 +1,2 @@\n-@property\n+@cached\n def total(self):",
        "path": "shop/cart.py",
        "position": None,
        "original_position": 2,
        "commit_id": "d" * 40,
        "original_commit_id": "c" * 40,
        "line": None,
        "original_line": 1,
        "start_line": None,
        "side": "RIGHT",
        "subject_type": "line",
        **fields,
    }
