"""How ``testing-crew export`` goes about it and tells of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from testing_crew.errors import UserMistake

if TYPE_CHECKING:
    from export.export import Quantisation
    from export.registry import Exported
    from testing_crew.config import LoadedConfig


def export_model(
    adapter: str,
    name: str | None,
    version: str | None,
    quantise: Quantisation,
    lora: bool,
    base: str | None,
    ollama: bool,
    loaded: LoadedConfig,
    as_json: bool,
) -> None:
    """Export, publish to Ollama where asked, and say what came of it."""
    from self_improve.cli.say import Console, text
    from self_improve.cli.train import hush

    console = Console(stderr=True, quiet=as_json)
    with console.status(text("looking")) as status:
        if adapter.startswith("local/"):
            model = _published(adapter, ollama)
        else:
            if name is None:
                raise UserMistake("the model has no name", hint="--name mine makes local/mine:v1")
            from self_improve.exporting import export_run, must_have_packages

            must_have_packages()
            hush()
            model = export_run(
                adapter,
                name,
                version,
                quantisation=quantise,
                as_lora=lora,
                base_name=base,
                tell=lambda what: status.update(text(what)),
            )
        tag = None
        if ollama:
            from export.ollama import publish_to_ollama

            if not as_json:
                console.print(text((f"{model.ref.tag} is published", "bold")))
            tag = publish_to_ollama(model, loaded.config.server, lambda what: status.update(text(what)))
    if as_json:
        print(
            json.dumps(
                {"tag": model.ref.tag, "ollama": tag, "folder": str(model.folder), **model.model_dump()}, indent=2
            )
        )
        return
    proof = model.proof
    console = Console()
    console.print(text((model.ref.tag, "bold"), f": {model.folder}"), soft_wrap=True)
    console.print(
        f"  proven: {proof['texts']:.0f} texts give the same tokens, f32 logits differ by {proof['max_logit_difference']:.1e} "
        f"at most, the file answers alike in {proof['agreement']:.1%} of {proof['answers']:.0f} tokens",
        soft_wrap=True,
    )
    console.print(f"  use it: testing-crew use {tag or model.ref.tag}", soft_wrap=True)


def _published(tag: str, ollama: bool) -> Exported:
    from export.registry import published
    from testing_crew.backends.ref import parse

    model = published(parse(tag))
    if not ollama:
        raise UserMistake(f"{tag} is published already", hint="--ollama gives it to an Ollama server")
    return model
