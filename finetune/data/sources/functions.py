"""HumanEval and MBPP as function → tests. They are evaluation sets: what is trained on here must not be scored."""

from __future__ import annotations

import ast
from functools import partial
from typing import Any

from finetune.data.read import Spec, read_table
from finetune.data.rows import Row
from finetune.data.sources import Context, Dropped, Source
from finetune.data.sources.kodcode import text
from finetune.data.sources.solution import MODULE, solution_row
from testing_crew.errors import UserMistake
from testing_crew.project.syntax import parse

HUMANEVAL = "openai/openai_humaneval"
MBPP = "google-research-datasets/mbpp"
SPLITS = {"prompt": (1, 10), "test": (11, 510), "validation": (511, 600), "train": (601, 974)}  # MBPP's task ids


def humaneval(spec: Spec, context: Context) -> Source:
    """``humaneval:PATH?allow=train``; refused without that word, since HumanEval has no split to train on."""
    if spec.options.get("allow") != "train":
        raise UserMistake(
            "humaneval is an evaluation set without a part to train on",
            hint=f"to train on it and score nothing on it any more: humaneval:{spec.where or HUMANEVAL}?allow=train",
        )
    table = read_table(spec, HUMANEVAL, "test")
    records = table.pick(
        id=("task_id",), start=("prompt",), rest=("canonical_solution",), tests=("test",), name=("entry_point",)
    )
    context.not_scored.append("humaneval")

    def row(record: dict[str, Any]) -> Row:
        key = "humaneval/" + str(record["id"]).rpartition("/")[2]
        tests = _checks(text(record["tests"]), text(record["name"]))
        return solution_row(key, text(record["start"]) + text(record["rest"]), tests, "MIT")

    rows = context.rows(partial(row, record) for record in records)
    return Source("humaneval", table.where, len(table.records), table.digest, rows)


def mbpp(spec: Spec, context: Context) -> Source:
    """``mbpp:PATH?split=train`` (or validation, prompt): the split must be named, and the scored one is refused."""
    split = spec.options.get("split", "")
    if split not in SPLITS or split == "test":
        why = "the test split is what is scored" if split == "test" else "the split to train on must be named"
        raise UserMistake(
            f"mbpp: {why}", hint=f"name another: mbpp:{spec.where or MBPP}?split=train (or validation, prompt)"
        )
    first, last = SPLITS[split]
    table = read_table(spec, MBPP, split)
    records = table.pick(
        id=("task_id",),
        code=("code",),
        tests=("test_list",),
        setup=("test_setup_code", "test_imports", ""),
        more=("challenge_test_list", ""),
    )
    context.not_scored.append(f"mbpp {split}, tasks {first} to {last}")

    def row(record: dict[str, Any]) -> Row:
        if not first <= int(record["id"]) <= last:
            raise Dropped("of another split")
        code = text(record["code"])
        return solution_row(f"mbpp/{record['id']}", code, _asserts(code, record), "CC-BY-4.0")

    rows = context.rows(partial(row, record) for record in records)
    return Source("mbpp", table.where, len(table.records), table.digest, rows)


def _checks(tests: str, name: str) -> str:
    """HumanEval's ``def check(candidate)`` as a test of the function itself; empty when it has another form."""
    try:
        tree = parse(tests)
    except SyntaxError:
        return ""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "check" and len(node.args.args) == 1:
            given = node.args.args[0].arg
            for n in ast.walk(node):
                if isinstance(n, ast.Name) and n.id == given:
                    n.id = name
                elif isinstance(n, ast.Assert) and isinstance(n.msg, ast.Constant):
                    n.msg = None
            node.name, node.args.args = f"test_{name}", []
            node.body = [n for n in node.body if not (isinstance(n, ast.Assert) and isinstance(n.test, ast.Constant))]
            head = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
            helpers = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n is not node]
            blocks = ["\n".join(map(ast.unparse, head)), *map(ast.unparse, [*helpers, node])]
            return "\n\n\n".join(filter(None, blocks)) + "\n" if node.body else ""
    return ""


def _asserts(code: str, record: dict[str, Any]) -> str:
    """MBPP's list of assertions as one test, of the function that they call."""
    setup = record["setup"] if isinstance(record["setup"], str) else "\n".join(record["setup"] or [])
    asserts = [text(line).strip() for line in [*(record["tests"] or []), *(record["more"] or [])]]
    try:
        defined = [n.name for n in parse(code).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    except SyntaxError:
        return ""
    name = next((d for d in reversed(defined) if any(d in line for line in asserts)), MODULE)
    body = "\n".join(f"    {line}" for each in asserts for line in each.splitlines())
    return (f"{setup.strip()}\n\n\n" if setup.strip() else "") + f"def test_{name}():\n{body}\n"
