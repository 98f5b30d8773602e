"""Mutants by cosmic-ray's operators, as edits of the text.

Its operators change a tree of parso's in place. cosmic-ray parses the module again for every mutant; here one tree is
changed, read and put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from testing_crew.mutation.text import DISABLED, Edit, Text

# Two replacements that tell most: the nearest neighbour, of the same type where there is one, and the opposite.
_BINARY = {
    "Add": ["Sub"],
    "Sub": ["Add"],
    "Mul": ["FloorDiv"],
    "Div": ["Mul"],
    "FloorDiv": ["Div"],
    "Mod": ["FloorDiv"],
    "Pow": ["Mul"],
    "LShift": ["RShift"],
    "RShift": ["LShift"],
    "BitOr": ["BitAnd"],
    "BitAnd": ["BitOr"],
    "BitXor": ["BitOr"],
}
_COMPARISON = {
    "Lt": ["LtE", "GtE"],
    "LtE": ["Lt", "Gt"],
    "Gt": ["GtE", "LtE"],
    "GtE": ["Gt", "Lt"],
    "Eq": ["NotEq"],
    "NotEq": ["Eq"],
    "Is": ["IsNot"],
    "IsNot": ["Is"],
}
_UNARY = ["Delete_USub", "Delete_Not", "Delete_Invert", "UAdd_USub"]
# Its name for an operator → ours, and the types of parso's nodes that it looks at.
_SINGLE = {
    "ReplaceTrueWithFalse": ("boolean:True->False", ["keyword"]),
    "ReplaceFalseWithTrue": ("boolean:False->True", ["keyword"]),
    "ReplaceAndWithOr": ("boolean:and->or", ["keyword"]),
    "ReplaceOrWithAnd": ("boolean:or->and", ["keyword"]),
    "ReplaceBreakWithContinue": ("loop:break->continue", ["keyword"]),
    "ReplaceContinueWithBreak": ("loop:continue->break", ["keyword"]),
    "ZeroIterationForLoop": ("loop:none", ["for_stmt"]),
    "ExceptionReplacer": ("exception", ["except_clause"]),
    "NumberReplacer": ("number", ["number"]),
    "RemoveDecorator": ("decorator", ["decorator"]),
    "AddNot": ("not", ["if_stmt", "while_stmt", "assert_stmt", "test"]),
}
_FAMILIES = {
    "ReplaceBinaryOperator_": ("binary", ["operator"]),
    "ReplaceComparisonOperator_": ("comparison", ["comparison"]),
    "ReplaceUnaryOperator_": ("unary", ["factor", "not_test"]),
}
_DEFAULT = {
    *(f"ReplaceBinaryOperator_{old}_{new}" for old, replacements in _BINARY.items() for new in replacements),
    *(f"ReplaceComparisonOperator_{old}_{new}" for old, replacements in _COMPARISON.items() for new in replacements),
    *(f"ReplaceUnaryOperator_{change}" for change in _UNARY),
    *(_SINGLE.keys() - {"AddNot"}),  # our own ``condition`` knows ``elif`` and where a condition ends
}
_ARITHMETIC = {"arith_expr", "term", "power", "shift_expr", "expr", "xor_expr", "and_expr"}
_TEXTS = {"string", "strings", "fstring"}
_THEIR_EXCEPTION = "CosmicRayTestingException"


def kept_edits(text: Text, every: bool) -> Iterator[Edit]:
    """The edits that the default operators make in ``text``, or that ``every`` operator of cosmic-ray's makes.

    Some leave text that does not parse: the operators look at tokens, and parso knows no ``match`` statement.
    """
    # Late: a run without mutants needs neither of them.
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.operators.provider import OperatorProvider

    provider = OperatorProvider()
    by_type: dict[str, list[tuple[str, str, Any]]] = {}
    for theirs in provider:
        ours, types = _name_and_types(theirs)
        if ours is not None and (every or theirs in _DEFAULT):
            for node_type in types:
                by_type.setdefault(node_type, []).append((theirs, ours, provider[theirs]()))
    for node in ast_nodes(get_ast(text.source)):
        for theirs, ours, operator in by_type.get(node.type, ()):
            for index in range(_positions(operator, node)):
                if every or _wanted(theirs, node, index):
                    edit = _edit(text, ours, operator, node, index)
                    if edit is not None:
                        yield edit


def _name_and_types(theirs: str) -> tuple[str | None, list[str]]:
    if theirs in _SINGLE:
        return _SINGLE[theirs]
    for prefix, (family, types) in _FAMILIES.items():
        if theirs.startswith(prefix):
            old, new = theirs.removeprefix(prefix).split("_")
            return (f"{family}:{new}->nothing" if old == "Delete" else f"{family}:{old}->{new}"), types
    return None, []


def _positions(operator: Any, node: Any) -> int:
    try:
        return len(list(operator.mutation_positions(node)))
    except Exception:
        return 0  # not written for what it found


def _wanted(theirs: str, node: Any, index: int) -> bool:
    """Whether the default set has this one: one step up for numbers, and arithmetic alone for binary operators.

    They take the ``*`` and ``/`` of a parameter list for such, and what they do to a text only ends in a TypeError.
    """
    if theirs == "NumberReplacer":
        return index == 0
    if theirs.startswith("ReplaceBinaryOperator_"):
        if node.parent is None or node.parent.type not in _ARITHMETIC:
            return False
        sides = (node.get_previous_sibling(), node.get_next_sibling())
        return not any(side is not None and side.type in _TEXTS for side in sides)
    return True


def _edit(text: Text, name: str, operator: Any, node: Any, index: int) -> Edit | None:
    """What the operator's mutation number ``index`` of ``node`` does to the text; None for nothing usable."""
    old = node.get_code()
    children = list(getattr(node, "children", ()))
    values = [(leaf, leaf.value) for leaf in _leaves(node)]
    try:
        mutated = operator.mutate(node, index)
        new = "" if mutated is None else mutated.get_code()
    except Exception:
        return None
    finally:
        for leaf, value in values:
            leaf.value = value
        if children:
            node.children[:] = children
    if mutated is None:  # left out: what stood before it stays, and so do its line breaks
        start, end = text.at(*node.start_pos), text.at(*node.end_pos)
        return Edit(name, start, end, "\n" * text.source.count("\n", start, end))
    prefix = node.get_first_leaf().prefix  # parso's own way to its start looks at every sibling before it
    start = text.at(*node.start_pos) - len(prefix)
    if name == "number":
        if new.strip(" ()+-") in ("inf", "nan"):
            return None
        new = prefix + new.strip()  # their number comes without its line break or comment
    if name == "exception":
        # Their exception is defined nowhere, so that the handler would fail by itself. Of a dotted name they replace
        # the dot.
        if f".{_THEIR_EXCEPTION}" in new or (_THEIR_EXCEPTION in new and old.count(".") != new.count(".")):
            return None
        new = new.replace(_THEIR_EXCEPTION, DISABLED)
    head, old, new = _trimmed(old, new)
    lost = old.count("\n") - new.count("\n")
    return Edit(name, start + head, start + head + len(old), " \\\n" * lost + new) if old != new else None


def _leaves(node: Any) -> Iterator[Any]:
    if hasattr(node, "children"):
        for child in node.children:
            yield from _leaves(child)
    else:
        yield node


def _trimmed(old: str, new: str) -> tuple[int, str, str]:
    """How many characters ``old`` and ``new`` begin with in common, and what of each is left between their common ends."""
    head = _in_common(old, new)
    old, new = old[head:], new[head:]
    tail = _in_common(old[::-1], new[::-1])
    return head, old[: len(old) - tail], new[: len(new) - tail]


def _in_common(one: str, other: str) -> int:
    """With how many same characters the two begin."""
    shorter = min(len(one), len(other))
    return next((index for index in range(shorter) if one[index] != other[index]), shorter)
