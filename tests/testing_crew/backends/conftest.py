import pytest
import tiny_gguf
from tiny_gguf import LINES

from testing_crew.backends import ModelConfig, open_backend


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Real GGUF files: a chain that recites LINES, the same with a chat template, and two of noise."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "chain": tiny_gguf.write(folder / "chain.gguf", lines=LINES),
        "chat": tiny_gguf.write(folder / "chat.gguf", lines=LINES, chat_template=tiny_gguf.CHAT_TEMPLATE),
        "noise": tiny_gguf.write(folder / "noise.gguf", context=512),
        "bos": tiny_gguf.write(folder / "bos.gguf", add_bos=True, context=512, seed=3),
    }


@pytest.fixture(autouse=True)
def clean_surroundings(tmp_path, monkeypatch):
    """No server, key or workspace of the person who runs the tests."""
    for name in ("OLLAMA_HOST", "OLLAMA_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY", "TESTING_CREW_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))


@pytest.fixture
def opened(standin):
    """Open backends of the module's own ``standin`` server, closed when the test is over."""
    backends = []

    def _open(tag, **config):
        backends.append(open_backend(tag, ModelConfig(base_url=standin.url, **config)))
        return backends[-1]

    yield _open
    for backend in backends:
        backend.close()
