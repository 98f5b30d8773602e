"""The functions and classes of a Python file with what their authors wrote beside them: docstrings, comments and their lines."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Collection, Iterator

from trace_logger.collect.records import Annotated, Annotation

_LONGEST_CLASS = 60  # lines; of a longer one its methods are told alone
# A word to a tool, no word on the code.
_DIRECTIVE = re.compile(
    r"#!|#\s*(?:noqa|type:|pragma|pylint|mypy:|fmt:|isort:|ruff:|flake8|nosec|pyright|yapf|-\*-|coding[:=])",
    re.IGNORECASE,
)
_Named = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def annotated(source: str, lines: Collection[int] | None = None) -> Iterator[Annotated]:
    """Each function, method and short class of ``source`` that has a comment or a docstring.

    With ``lines`` only those that hold one of these lines. A file that does not parse (another Python's, or none) has none.
    """
    source = source.replace("\r\n", "\n").replace("\r", "\n")  # Python counts lines so
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the code, which is not ours to mend
            tree = ast.parse(source)
        tokens = [t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type == tokenize.COMMENT]
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return
    comments = {token.start[0]: token for token in tokens}
    text = source.split("\n")
    for name, node in _units(tree, ""):
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        while first > 1 and first - 1 in comments and _alone(text[first - 2]):
            first -= 1  # a comment right above is on it
        last = node.end_lineno or node.lineno
        if lines is not None and not any(first <= line <= last for line in lines):
            continue
        if isinstance(node, ast.ClassDef) and last - first >= _LONGEST_CLASS:
            continue
        found = _without(text, first, last, node, comments)
        if found is not None and (found[1] or found[2]):
            code, docstring, notes = found
            yield Annotated(name=name, code=code, docstring=docstring, annotations=notes)


def _units(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    for each in ast.iter_child_nodes(node):
        if isinstance(each, _Named):
            yield prefix + each.name, each
            if isinstance(each, ast.ClassDef):
                yield from _units(each, f"{prefix}{each.name}.")


def _alone(line: str) -> bool:
    return line.lstrip().startswith("#")


def _without(
    text: list[str], first: int, last: int, node: ast.AST, comments: dict[int, tokenize.TokenInfo]
) -> tuple[str, str, tuple[Annotation, ...]] | None:
    """The lines ``first`` to ``last`` as code alone, its own docstring, and the comments; None where no code is left."""
    docs: set[int] = set()
    own = ""
    for each in ast.walk(node):
        if not isinstance(each, _Named) or ast.get_docstring(each, clean=False) is None:
            continue
        said = each.body[0]
        if len(each.body) == 1 or each.body[1].lineno <= (said.end_lineno or 0) or said.lineno <= each.lineno:
            return None  # nothing would be left, or it shares its line with code
        docs.update(range(said.lineno, (said.end_lineno or said.lineno) + 1))
        if each is node:
            own = ast.get_docstring(each) or ""
    kept: list[str] = []
    notes: dict[int, list[str]] = {}
    above: list[str] = []  # comments on lines of their own wait for the code below them
    for number in range(first, last + 1):
        line = text[number - 1]
        comment = comments.get(number)
        said_here = "" if comment is None or _DIRECTIVE.match(comment.string) else comment.string.lstrip("#: ").strip()
        if number in docs:
            continue
        if comment is not None and _alone(line):
            above += [said_here] if said_here else []
            continue
        if comment is not None:
            line = line[: comment.start[1]].rstrip()
        kept.append(line)
        if line.strip():
            here = above + ([said_here] if said_here else [])
            if here:
                notes[len(kept)] = here
            above = []
    indent = len(text[node.lineno - 1]) - len(text[node.lineno - 1].lstrip())  # type: ignore[attr-defined]
    # Not textwrap.dedent: it would change the text of a string over several lines that reaches further to the left.
    code = "\n".join(line[indent:] if not line[:indent].strip() else line for line in kept)
    annotations = tuple(Annotation(line_number=n, annotation=" ".join(said)) for n, said in notes.items())
    return code, own, annotations
