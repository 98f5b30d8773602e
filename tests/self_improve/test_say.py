"""What is printed is what was meant: no path, no message and no hint is read as markup."""

import json

import command_line
import pytest

from self_improve.cli.doctor import Finding, print_findings
from self_improve.cli.say import Console, bars, text

ODD = ["[red]x[/]", "[/]", ":smile:", "testing-crew[train]", "[bold]"]


@pytest.mark.parametrize("odd", ODD)
def test_every_way_of_printing_prints_the_text_itself(odd, capsys):
    from rich.table import Table

    console = Console()
    console.print(odd)
    console.print(odd, style="dim", soft_wrap=True)
    console.print(text(odd, (odd, "green")))
    table = Table(odd)
    table.add_row(odd)
    console.print(table)
    shown = bars(console)
    shown.add_task(odd, total=1)
    console.print(shown)
    assert capsys.readouterr().out.count(odd) == 7


def test_a_terminal_gets_nothing_to_act_on(capsys):
    Console().print("a\x1b[2Jb", text(("c\x07\u009bd", "red")))
    assert capsys.readouterr().out == "a�[2Jb c��d\n"


def test_the_command_that_mends_is_shown_whole(capsys):
    print_findings([Finding("torch", False, "not [installed]", "pip install 'testing-crew[train]'", needed=False)])
    out = capsys.readouterr().out
    assert "pip install 'testing-crew[train]'" in out
    assert "not [installed]" in out


def test_the_commands_print_paths_and_messages_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "[home]"))
    monkeypatch.chdir(tmp_path)
    for folder in ("[bold]", ":smile:"):  # pytest itself takes no path with a bracket in it
        (tmp_path / folder).mkdir()
    for name in (":smile:.py", "tags.py"):
        (tmp_path / "[bold]" / name).write_text("def tag(x):\n    return '[red]' + x + '[/]'\n")
    tests = "from snippet import tag\n\n\ndef test_tag():\n    assert tag('a') == '[/]'\n"
    (tmp_path / ":smile:" / "x.py").write_text(tests.replace("snippet", "tags"))
    (tmp_path / "script.json").write_text(json.dumps([tests]))

    def said(*arguments):
        done = command_line.run(*arguments)
        return done.stdout + done.stderr

    wrote = said("write", "[bold]/:smile:.py", "--model", "scripted:script.json", "--max-iterations", "1")
    assert wrote.count("test_tag(): got '[red]a[/]', expected '[/]'") == 2  # as it comes, and in the table
    assert "[bold]/:smile:.py: 0 of 1 units" in wrote
    assert str(tmp_path / "[home]") in wrote
    checked = said("check", ":smile:/x.py", "--target", "[bold]/tags.py")
    assert checked.startswith(":smile:/x.py against [bold]/tags.py: failed, not accepted")
    assert "got '[red]a[/]', expected '[/]'" in checked
    assert "[bold]/:smile:.py" in said("traces", "list")
    assert "no such file: [/]" in said("check", ":smile:/x.py", "--target", "[/]")
    assert "'[bold]'" in said("[bold]")
