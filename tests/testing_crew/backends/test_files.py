import os

import pytest
import tomlkit

from testing_crew.backends import files
from testing_crew.backends.files import holds_settings, read_note, read_settings, write_note, write_setting
from testing_crew.errors import ConfigError, UserMistake


def test_one_key_is_set_and_all_else_stands(tmp_path):
    file = tmp_path / "testing_crew.toml"
    text = '# ours\nmodel = "a:1"   # the small one\n\nmax_iterations = 4\n\n[sampling]  # careful\nseed = 2\n'
    file.write_text(text)
    os.chmod(file, 0o640)
    write_setting(file, "model", "b:2")
    assert file.read_text() == text.replace("a:1", "b:2")
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [file]


def test_a_new_key_stands_before_the_tables_and_goes_again(tmp_path):
    file = tmp_path / "testing_crew.toml"
    file.write_text("# ours\n[sampling]\nseed = 2\n")
    write_setting(file, "model", "b:2")
    assert file.read_text().startswith('# ours\nmodel = "b:2"\n')
    assert read_settings(file) == {"model": "b:2", "sampling": {"seed": 2}}
    write_setting(file, "model", None)
    write_setting(file, "model", None)
    assert read_settings(file) == {"sampling": {"seed": 2}}


def test_a_file_is_made_where_there_is_none(tmp_path):
    file = tmp_path / "deep" / "testing_crew.toml"
    assert not holds_settings(file)
    assert read_settings(file) == {}
    write_setting(file, "model", 'it\'s "x"')
    assert read_settings(file) == {"model": 'it\'s "x"'}
    assert holds_settings(file)


@pytest.mark.parametrize(
    "table",
    [
        "[tool.testing_crew]\nmax_iterations = 4\n",
        "[tool.testing_crew.sampling]\nseed = 2\n",
        "[tool]\ntesting_crew = { max_iterations = 4 }\n",
        "[tool.testing_crew]\nmax_iterations = 4\n\n[tool.ruff]\nx = 1\n\n[tool.testing_crew.sampling]\nseed = 2\n",
    ],
)
def test_our_table_of_a_pyproject_is_written_in_every_form(tmp_path, table):
    file = tmp_path / "pyproject.toml"
    file.write_text(f'[project]\nname = "p"  # p\n\n{table}\n[tool.other]\nx = 1\n')
    whole, before = tomlkit.parse(file.read_text()).unwrap(), read_settings(file)
    assert holds_settings(file)
    write_setting(file, "model", "b:2")
    assert read_settings(file) == {**before, "model": "b:2"}
    assert '[project]\nname = "p"  # p\n' in file.read_text()
    write_setting(file, "model", None)
    assert tomlkit.parse(file.read_text()).unwrap() == whole


def test_line_ends_and_a_linked_file_survive(tmp_path):
    real = tmp_path / "shared.toml"
    real.write_bytes(b"# ours\r\nmax_iterations = 4\r\n[sampling]\r\nseed = 2\r\n")
    link = tmp_path / "project" / "testing_crew.toml"
    link.parent.mkdir()
    link.symlink_to(real)
    write_setting(link, "model", "b:2")
    assert link.is_symlink()
    text = real.read_bytes()
    assert b'model = "b:2"\r\n' in text
    assert text.count(b"\n") == text.count(b"\r\n")


def test_a_folder_that_cannot_be_written_is_the_users_to_mend(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", fail)
    with pytest.raises(UserMistake) as caught:
        write_setting(tmp_path / "testing_crew.toml", "model", "a:1")
    assert caught.value.message == f"{tmp_path}/testing_crew.toml cannot be written: Permission denied"


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_crash_while_writing_leaves_the_old_file_whole(tmp_path, monkeypatch, failure):
    file = tmp_path / "testing_crew.toml"
    file.write_text('model = "b:2"\n')

    def crash(*args):
        raise failure

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises((KeyboardInterrupt, UserMistake)):
        write_setting(file, "model", "c:3")
    assert file.read_text() == 'model = "b:2"\n'
    assert list(tmp_path.iterdir()) == [file]


def test_notes_are_kept_in_the_workspace(tmp_path):
    assert read_note("n.json") == {}
    write_note("n.json", {"a": ["é"]})
    assert read_note("n.json") == {"a": ["é"]}
    note = files.workspace() / "n.json"
    assert note.parent == tmp_path / "home"
    for broken in ("{", "3", "[1]"):
        note.write_text(broken)
        with pytest.raises(ConfigError, match=r"n\.json cannot be read"):
            read_note("n.json")
