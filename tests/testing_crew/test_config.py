import json
import sys
from pathlib import Path

import pytest

from testing_crew import config
from testing_crew.backends import ModelConfig, Sampling
from testing_crew.config import Config, load, needs_trust, rollback, trust, use
from testing_crew.config_page import page
from testing_crew.errors import ConfigError, UnknownModel, UserMistake


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for key in config.ENVIRONMENT:
        monkeypatch.delenv(f"TESTING_CREW_{key.upper()}", raising=False)
    home = tmp_path / "home"
    monkeypatch.setenv("TESTING_CREW_HOME", str(home))
    return home


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with a package in it; the current folder is its root."""
    root = tmp_path / "project"
    (root / ".git").mkdir(parents=True)
    (root / "src" / "pkg").mkdir(parents=True)
    monkeypatch.chdir(root)
    return root


def write(folder, text, name="testing_crew.toml"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def refused(call, *args, kind=ConfigError, **kwargs):
    with pytest.raises(kind) as caught:
        call(*args, **kwargs)
    assert "\n" not in caught.value.message
    return caught.value


# --- reading ---------------------------------------------------------------------------------------------------------


def test_without_any_file_the_defaults_hold(project):
    loaded = load(project)
    assert loaded.config == Config()
    assert (loaded.config.model, loaded.config.max_iterations, loaded.config.target_coverage) == ("embedded", 3, 0.85)
    assert (loaded.config.tests_dir, loaded.config.interpreter, loaded.config.traces.enabled) == ("tests", None, True)
    assert (loaded.config.sampling, loaded.config.server) == (Sampling(), ModelConfig())
    assert (loaded.origins, loaded.project_file) == ({}, None)


def test_every_table_is_read(project):
    file = write(
        project,
        'model = "llama3:8b"\nmax_iterations = 5\ntarget_coverage = 0.5\ntests_dir = "t/unit"\n[traces]\nenabled = false\n'
        "[limits]\nwall_seconds = 9.5\nmemory_mb = 512\noutput_kb = 10\n"
        '[sampling]\ntemperature = 0.2\ntop_p = 0.9\nseed = 4\nmax_tokens = 99\nstop = ["x"]\n'
        '[server]\napi = "chat"\ntimeout_seconds = 5\nmax_context = 4096\n',
    )
    loaded = load(project / "src" / "pkg")
    assert loaded.config == Config(
        model="llama3:8b",
        max_iterations=5,
        target_coverage=0.5,
        tests_dir="t/unit",
        traces={"enabled": False},
        limits={"wall_seconds": 9.5, "memory_mb": 512, "output_kb": 10},
        sampling={"temperature": 0.2, "top_p": 0.9, "seed": 4, "max_tokens": 99, "stop": ("x",)},
        server={"api": "chat", "timeout_seconds": 5, "max_context": 4096},
    )
    assert loaded.origins["sampling.seed"] == str(file)
    assert loaded.project_file == file


def test_the_nearest_file_wins_and_a_pyproject_counts(project):
    write(project, 'model = "far:1"\n')
    nearer = write(project / "src", '[tool.testing_crew]\nmodel = "near:1"\n', "pyproject.toml")
    assert load(project / "src" / "pkg").config.model == "near:1"
    assert load(project / "src" / "pkg").project_file == nearer
    assert load(project).config.model == "far:1"
    write(project / "src", 'model = "own:1"\n')
    assert load(project / "src").config.model == "own:1"
    module = write(project / "src" / "pkg", "x = 1\n", "module.py")
    assert load(module).config.model == "own:1"


def test_a_pyproject_that_is_not_about_us_is_not_judged(project):
    write(project, "this is [not toml\n", "pyproject.toml")
    assert load(project).project_file is None
    write(project, '[tool.other]\nwith = "testing_crew"\n', "pyproject.toml")
    assert load(project).project_file is None


def test_the_search_ends_at_the_repositorys_root(project):
    write(project.parent, 'model = "outside:1"\n')
    assert load(project / "src").config.model == "embedded"
    (project / ".git").rmdir()
    assert load(project / "src").config.model == "outside:1"


def test_project_over_user_environment_over_project_flags_over_all(project, home, monkeypatch):
    own = write(home, 'model = "user:1"\nmax_iterations = 7\n[sampling]\nseed = 1\ntop_p = 0.5\n')
    theirs = write(project, 'model = "project:1"\n[sampling]\nseed = 2\n')
    loaded = load(project)
    assert (loaded.config.model, loaded.config.max_iterations) == ("project:1", 7)
    assert (loaded.config.sampling.seed, loaded.config.sampling.top_p) == (2, 0.5)
    assert loaded.origins == {
        "model": str(theirs),
        "max_iterations": str(own),
        "sampling.seed": str(theirs),
        "sampling.top_p": str(own),
    }
    monkeypatch.setenv("TESTING_CREW_MODEL", "env:1")
    monkeypatch.setenv("TESTING_CREW_MAX_ITERATIONS", "9")
    loaded = load(project, {"model": None})
    assert (loaded.config.model, loaded.config.max_iterations) == ("env:1", 9)
    assert loaded.origins["model"] == "TESTING_CREW_MODEL"
    loaded = load(project, {"model": "flag:1", "sampling.seed": 3})
    assert (loaded.config.model, loaded.config.sampling.seed) == ("flag:1", 3)
    assert loaded.origins["model"] == "the flags"


def test_paths_in_a_file_are_taken_from_where_the_file_lies(project):
    venv = project / ".venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").symlink_to(sys.executable)
    write(project, 'model = "gguf:m/x.gguf"\ninterpreter = ".venv/bin/python"\n')
    loaded = load(project / "src", check_trust=False)
    assert loaded.config.model == f"gguf:{project}/m/x.gguf"
    assert loaded.config.interpreter == str(venv / "python")  # the link, not what it points to
    write(project, 'interpreter = "python3.12"\nmodel = "hf:org/name"\n')
    loaded = load(project, check_trust=False)
    assert (loaded.config.interpreter, loaded.config.model) == ("python3.12", "hf:org/name")


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ('modle = "x"\n', "modle", "did you mean model?"),
        ("[sampling]\ntemprature = 1\n", "sampling.temprature", "did you mean sampling.temperature?"),
        ("temperature = 1\n", "temperature", "did you mean sampling.temperature?"),
        ("[sampl]\nseed = 1\n", "sampl", "did you mean sampling?"),
        ("[limits]\nseconds = 1\n", "limits.seconds", "did you mean limits.wall_seconds?"),
    ],
)
def test_a_misspelt_key_names_file_key_and_the_nearest_right_one(project, text, key, meant):
    file = write(project, text)
    error = refused(load, project)
    assert (error.message, error.hint) == (f"{file}: there is no setting {key}", meant)


def test_a_key_like_no_other_lists_them_all(project):
    write(project, "xyzzy = 1\n")
    hint = refused(load, project).hint
    assert hint.startswith("the settings: model, max_iterations, ")
    assert "server.base_url" in hint


def test_a_misspelt_key_in_a_pyproject_and_in_the_users_own_file(project, home):
    file = write(project, "[tool.testing_crew]\nmodle = 1\n", "pyproject.toml")
    assert refused(load, project).message == f"{file}: there is no setting modle"
    file.unlink()
    own = write(home, "modle = 1\n")
    assert refused(load, project).message == f"{own}: there is no setting modle"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("max_iterations = 0\n", "max_iterations = 0: Input should be greater than or equal to 1"),
        ("target_coverage = 85\n", "target_coverage = 85: Input should be less than or equal to 1"),
        ('[server]\napi = "soap"\n', "server.api = 'soap': Input should be 'auto', 'chat' or 'completions'"),
        ("model = 3\n", "model = 3: Input should be a valid string"),
        ("sampling = 3\n", "sampling = 3: Input should be a valid dictionary or instance of Sampling"),
        ('tests_dir = "../../elsewhere"\n', "tests_dir = '../../elsewhere': it must be a folder inside the project"),
        ('tests_dir = "/tmp"\n', "tests_dir = '/tmp': it must be a folder inside the project"),
        (
            'model = "local/x"\n',
            "model: 'local/x' is not a model tag: the registry's models are named local/NAME:VERSION",
        ),
    ],
)
def test_a_value_that_does_not_fit_names_the_file(project, text, says):
    file = write(project, text)
    assert refused(load, project).message == f"{file}: {says}"


def test_a_variable_or_flag_that_does_not_fit_is_named(project, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_MAX_ITERATIONS", "many")
    assert refused(load, project).message.startswith("TESTING_CREW_MAX_ITERATIONS: max_iterations = 'many': ")
    error = refused(load, project, {"max_iterations": 0})
    assert error.message.startswith("the flags: max_iterations = 0: ")
    monkeypatch.delenv("TESTING_CREW_MAX_ITERATIONS")
    assert refused(load, project, {"model": "a b"}, kind=UnknownModel).message.startswith("'a b' is not a model tag")


def test_broken_toml_names_file_and_line(project):
    file = write(project, 'model = "x:1"\nmax_iterations = \n')
    error = refused(load, project)
    assert error.message.startswith(f"{file}, line 2: not TOML: ")
    write(project, "a = 1\na = 2\n")
    assert refused(load, project).message.startswith(f"{file}")
    file.write_bytes(b"model = '\xff'\n")
    assert refused(load, project).message.startswith(f"{file} cannot be read: ")


# --- trust -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('[server]\nbase_url = "http://evil:1"\n', ["server.base_url = http://evil:1"]),
        ('interpreter = "/evil/python"\n', ["interpreter = /evil/python"]),
        ('model = "gguf:/evil.gguf"\n', ["model = gguf:/evil.gguf"]),
        ('model = "hf:evil/model"\n', ["model = hf:evil/model"]),
        ('model = "scripted:/evil.json"\n', ["model = scripted:/evil.json"]),
        ('model = "embedded@/evil"\n', ["model = embedded@/evil"]),
        ('model = "smollm2@/evil.gguf"\n', ["model = smollm2@/evil.gguf"]),
        ('model = "openai/evil"\n', ["model = openai/evil"]),
        ('model = "gpt-oss:120b-cloud"\n', ["model = gpt-oss:120b-cloud"]),
        ('model = "glm-4.6:cloud"\n', ["model = glm-4.6:cloud"]),
        (
            'model = "openai/x"\n[server]\nbase_url = "http://e:1"\n',
            ["server.base_url = http://e:1", "model = openai/x"],
        ),
    ],
)
def test_what_a_projects_file_says_about_servers_and_paths_needs_a_word_once(project, text, wanted):
    file = write(project, text)
    error = refused(load, project)
    said = f"{file} sets {', '.join(wanted)}: a project's own file needs your word for that, once"
    assert (error.message, error.hint) == (said, "look at it, then: testing-crew trust")
    loaded = load(project, check_trust=False)
    assert needs_trust(loaded) == wanted
    assert trust(loaded) == wanted
    assert trust(loaded) == []
    assert load(project) == loaded
    assert needs_trust(loaded) == []


@pytest.mark.parametrize("tag", ["embedded", "llama3", "deepseek-coder:6.7b", "local/tester:v1"])
def test_a_plain_model_needs_no_word(project, tag):
    write(project, f'model = "{tag}"\nmax_iterations = 4\n')
    assert needs_trust(load(project)) == []


def test_a_word_holds_for_the_value_and_the_file_it_was_given_for(project, tmp_path):
    write(project, '[server]\nbase_url = "http://a:1"\n')
    trust(load(project, check_trust=False))
    write(project, '# moved\nmax_iterations = 9\n[server]\nbase_url = "http://a:1"\n')
    load(project)
    write(project, '[server]\nbase_url = "http://b:1"\n')
    refused(load, project)
    other = tmp_path / "other"
    write(other, '[server]\nbase_url = "http://a:1"\n')
    refused(load, other)


def test_the_users_own_file_variables_and_flags_are_the_users_word(project, home, monkeypatch):
    write(home, 'interpreter = "/opt/python"\nmodel = "gguf:/x.gguf"\n[server]\nbase_url = "http://mine:1"\n')
    assert load(project).config.server.base_url == "http://mine:1"
    write(project, 'model = "gguf:/theirs.gguf"\n')
    refused(load, project)
    assert load(project, {"model": "embedded"}).config.model == "embedded"
    monkeypatch.setenv("TESTING_CREW_MODEL", "gguf:/mine.gguf")
    assert load(project).config.model == "gguf:/mine.gguf"


def test_the_workspaces_file_is_the_users_own_even_when_it_is_found_from_inside(home):
    write(home, 'interpreter = "/opt/python"\n')
    assert load(home).config.interpreter == "/opt/python"
    assert load(home).project_file is None


def test_variables_that_a_project_passes_on_need_the_user_s_word(project):
    write(project, '[sandbox]\npass_env = ["TOKEN", "KEY"]\n')
    refused(load, project)
    assert trust(load(project, check_trust=False)) == ["sandbox.pass_env = TOKEN, KEY"]
    assert load(project).config.sandbox.pass_env == ("TOKEN", "KEY")


def test_the_page_of_settings_is_made_from_them():
    file = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert file.read_text(encoding="utf-8") == page(), "python -m testing_crew.config_page > docs/configuration.md"
    assert "| None" not in page(), "a setting has no description"


def test_a_broken_note_of_trust_is_not_taken_for_an_empty_one(project, home):
    write(project, 'model = "openai/x"\n')
    write(home, "{", "trust.json")
    assert refused(load, project).message.startswith(f"{home / 'trust.json'} cannot be read")


# --- the swap --------------------------------------------------------------------------------------------------------


def history(home):
    (events,) = json.loads((home / "model_history.json").read_text()).values()
    return [(event["action"], event["before"], event["after"]) for event in events]


def test_use_writes_into_the_pyproject_that_has_our_table(project):
    file = write(project, '[project]\nname = "p"\n\n[tool.testing_crew]\nmodel = "a:1"\n', "pyproject.toml")
    assert use("b:2", project / "src").file == file
    assert not (project / "testing_crew.toml").exists()
    assert load(project).config.model == "b:2"
    assert rollback(project).after == "a:1"


def test_use_creates_a_file_in_the_projects_root_and_rollback_empties_it(project, home):
    change = use("llama3:8b", project / "src" / "pkg")
    assert (change.file, change.before, change.after) == (project / "testing_crew.toml", None, "llama3:8b")
    assert (project / "testing_crew.toml").read_text() == 'model = "llama3:8b"\n'
    assert load(project).config.model == "llama3:8b"
    change = rollback(project)
    assert (change.before, change.after) == ("llama3:8b", None)
    assert load(project).config.model == "embedded"
    assert history(home) == [("use", None, "llama3:8b"), ("rollback", "llama3:8b", None)]


def test_rollbacks_undo_one_use_each_and_then_say_so(project, home):
    for tag in ("a:1", "b:2", "c:3"):
        use(tag, project)
    use("c:3", project)  # no change: nothing to take back
    assert [rollback(project).after for _ in range(2)] == ["b:2", "a:1"]
    use("d:4", project)
    assert [rollback(project).after for _ in range(2)] == ["a:1", None]
    error = refused(rollback, project, kind=UserMistake)
    assert error.message == f"there is nothing to roll back in {project / 'testing_crew.toml'}"
    assert [action for action, *_ in history(home)] == ["use"] * 3 + ["rollback"] * 2 + ["use"] + ["rollback"] * 2


def test_nothing_to_roll_back_without_a_file(project):
    error = refused(rollback, project, kind=UserMistake)
    assert error.message == f"there is nothing to roll back in {project}"
    assert error.hint == "testing-crew use TAG sets the model"


def test_a_hand_made_change_is_recorded_when_it_is_replaced(project, home):
    use("a:1", project)
    write(project, 'model = "by-hand:1"\n')
    use("b:2", project)
    assert rollback(project).after == "by-hand:1"
    assert history(home)[1] == ("use", "by-hand:1", "b:2")


def test_a_bad_tag_changes_nothing(project):
    refused(use, "a b", project, kind=UnknownModel)
    assert not (project / "testing_crew.toml").exists()


def test_a_path_is_written_as_seen_from_the_file_and_naming_it_is_the_users_word(project, tmp_path, monkeypatch):
    monkeypatch.chdir(project / "src")
    assert use("gguf:../models/x.gguf", project / "src").after == "gguf:models/x.gguf"
    assert load(project).config.model == f"gguf:{project}/models/x.gguf"
    assert use(f"gguf:{tmp_path}/y.gguf", project).after == f"gguf:{tmp_path}/y.gguf"
    assert load(project).config.model == f"gguf:{tmp_path}/y.gguf"
    rollback(project)
    assert load(project).config.model == f"gguf:{project}/models/x.gguf"


@pytest.mark.parametrize(
    ("tag", "written", "in_force"),
    [
        ("smollm2@../lora/c.gguf", "smollm2@lora/c.gguf", "smollm2@{}/lora/c.gguf"),
        ("gguf:x.gguf@../lora", "gguf:src/x.gguf@lora", "gguf:{0}/src/x.gguf@{0}/lora"),
        ("../lora", "hf:./lora", "hf:{}/lora"),
        ("hf:org/base@../lora", "hf:org/base@./lora", "hf:org/base@{}/lora"),
        ("hf:org/base@org/lora", "hf:org/base@org/lora", "hf:org/base@org/lora"),
    ],
)
def test_an_adapter_s_path_is_written_as_seen_from_the_file(project, tag, written, in_force, monkeypatch):
    (project / "lora").mkdir()
    monkeypatch.chdir(project / "src")
    assert use(tag, project / "src").after == written
    assert load(project / "src").config.model == in_force.format(project)


def test_use_does_not_give_the_word_for_anything_else_in_the_file(project):
    write(project, '[server]\nbase_url = "http://evil:1"\n')
    use("openai/x", project)
    assert needs_trust(load(project, check_trust=False)) == ["server.base_url = http://evil:1"]
