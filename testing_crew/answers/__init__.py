"""What a coding agent is answered: whether its tests are worth keeping, what they miss, and tests that were written for it.

The tools of `mcp_server`, without its protocol; the door is `judging.Answers`.
Only what lies below one folder is read or written.
"""
