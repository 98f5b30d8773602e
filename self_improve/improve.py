"""The loop closed: yesterday's repairs become a model, the model meets the one in use, and the better one is used.

    collect → curate → train C → export → gate → promote

Each station reads what the one before it left in the round's folder and in the workspace, and is passed over where its
inputs did not change: a round that was killed is gone on with by the same command.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.self_correction import Task
from export.export import Quantisation
from export.registry import Exported, discard, exported, with_scores
from export.verify import NotTheSameModel
from finetune.adapters import newest, weights_of
from finetune.bases import Base, find_base
from finetune.recipe import Recipe, read_recipe, shipped
from self_improve import tasks as work
from self_improve.curation import curate_store
from self_improve.exporting import export_run
from self_improve.gate import Rules, Verdict, decide
from self_improve.play import outcomes, self_play
from self_improve.rounds import Round, current, rounds
from testing_crew import config as configuration
from testing_crew.backends import open_backend
from testing_crew.backends.llama import sha256_of
from testing_crew.backends.ref import OWN, ModelRef, parse
from testing_crew.errors import UserMistake
from trace_logger import curate
from trace_logger.fingerprints import Fingerprints
from trace_logger.records import Record
from trace_logger.store import TraceStore

Tell = Callable[[dict[str, Any]], None]
HELD_OUT = 1 / 3  # of the project's modules, where no tasks are named


class Options(Record):
    """What a round is asked for. Paths are absolute; ``recipe`` has ``key=value`` for stage C; ``samples`` are of self-play."""

    self_play: tuple[str, ...] = ()
    samples: int = 1
    tasks: tuple[str, ...] = ()
    name: str = "mine"
    base: str | None = None
    start: str | None = None
    recipe: tuple[str, ...] = ()
    minutes: float | None = None
    quantisation: Quantisation = "q8_0"
    fingerprints: str | None = None
    ollama: bool = False
    rules: Rules = Rules()
    curation: curate.Rules = curate.Rules()


@dataclass
class Line:
    """One round on its way through the stations. ``project`` is the folder whose settings hold the model's tag."""

    options: Options
    loaded: configuration.LoadedConfig
    project: Path
    tell: Tell

    @property
    def champion(self) -> str:
        """The model in use."""
        return self.loaded.config.model

    @cached_property
    def tasks(self) -> list[Task]:
        """What the gate decides on, and nothing like it is trained on. Raises UserMistake where there is none."""
        interpreter = self.loaded.config.interpreter
        named = [Path(path) for path in self.options.tasks]
        found = work.load(named, interpreter) if named else work.held_out(self.project, HELD_OUT, interpreter)
        if not found:
            raise UserMistake(
                f"no module of {self.project} is held out for the gate to decide on", hint="name some: --tasks PATH"
            )
        return found

    @cached_property
    def practice(self) -> list[Task]:
        """What self-play works on: what was named, without what the gate decides on."""
        marks = work.fingerprints(self.tasks)
        named = work.load([Path(path) for path in self.options.self_play], self.loaded.config.interpreter)
        return [task for task in named if not marks.resembles(task.code)]

    @property
    def base_name(self) -> str:
        """The base that is trained on: the champion's own, where none is named."""
        return self.options.base or base_of(self.champion)

    @cached_property
    def base(self) -> Base:
        """The same, found; what must be made of it is made."""
        return find_base(self.base_name)

    @cached_property
    def start(self) -> Path | None:
        """The adapter that C starts from: the newest of B on this base, else of A, else none. Never one of C."""
        return newest("b", self.base) or newest("a", self.base)

    def recipe(self, curated: Path) -> Recipe:
        """Stage C over the curated pairs."""
        return read_recipe(shipped("c"), [f"data.sources={json.dumps([f'traces:{curated}'])}", *self.options.recipe])

    def check(self) -> None:
        """Raises UserMistake for what is wrong with the options, before anything is begun."""
        for kind in ("local", "ollama"):
            parse(f"{kind}/{self.options.name}:v1")
        self.recipe(Path("curated"))
        if self.options.start not in (None, "none"):
            weights_of(Path(str(self.options.start)).expanduser())
        if self.options.fingerprints:
            Fingerprints.load(self.options.fingerprints)
        _ = self.base_name, self.tasks, self.practice  # each says what is wrong with it

    def go(self) -> Round:
        """Make the round, or the rest of the one that was stopped; returns it finished. The caller holds `rounds.lock`.

        Raises UserMistake and the stations' own errors: what was done until then stands.
        """
        at = current()
        at.begin(self.options.model_dump())
        self._tell_step(
            at, "collect", f"{len(self.practice)} tasks of self-play" if self.practice else "what the store has"
        )
        at.step("collect", self._collected(), lambda: self._collect(at))
        self._tell_step(at, "curate", "each pair is run again")
        manifest = at.step("curate", self._curated(), lambda: self._curate(at))
        _must_be_new(at, manifest, self.options)
        self._tell_step(at, "train", f"stage C on {self.base.name}")
        adapter = at.step("train", self._trained(manifest), lambda: self._train(at))
        self._tell_step(at, "export", "merge, convert, prove")
        try:
            model = at.step(
                "export",
                [adapter["sha256"], self.options.name, self.options.quantisation],
                lambda: self._export(at, adapter),
            )
        except NotTheSameModel as error:
            at.finish("kept", f"the export is not proven: {error.message}")
            return at
        self._tell_step(at, "gate", f"{self.champion} and {model['tag']} on {len(self.tasks)} tasks")
        gate = at.step("gate", self._gated(model), lambda: self._gate(at, model))
        verdict = Verdict.model_validate(gate)
        if verdict.decision == "promoted":
            self._tell_step(at, "promote", model["tag"])
            at.step("promote", [model["tag"], str(self.project)], lambda: self._promote(at, model["tag"]))
        at.finish(verdict.decision, verdict.why)
        return at

    def _tell_step(self, at: Round, name: str, what: str) -> None:
        self.tell({"event": "station", "round": at.state.number, "name": name, "what": what})

    def _progress(self, what: str, done: int, of: int) -> None:
        self.tell({"event": "data", "what": what, "done": done, "of": of})

    # What goes into a station, and what it makes of it

    def _collected(self) -> Any:
        return [self.champion if self.practice else "", work.digest(self.practice), self.options.samples]

    def _collect(self, at: Round) -> dict[str, Any]:
        if not self.practice:
            return {"tasks": 0, "accepted": 0}
        kept = at.folder / "played.jsonl"
        config = self.loaded.config
        accepted = self_play(self.champion, self.practice, self.options.samples, config, kept, self._progress)
        return {"tasks": len(self.practice) * self.options.samples, "accepted": accepted}

    def _curated(self) -> Any:
        with TraceStore.open() as store:
            pairs = [(p.code, p.failed_test, p.fixed_test) for p in store.pairs()]
        marks = sha256_of(Path(self.options.fingerprints)) if self.options.fingerprints else ""
        return [_hash(pairs), self.options.curation.model_dump(), marks, work.digest(self.tasks)]

    def _curate(self, at: Round) -> dict[str, Any]:
        return curate_store(
            at.folder / "curated",
            self.options.curation,
            fingerprints=Path(self.options.fingerprints) if self.options.fingerprints else None,
            held_out=work.fingerprints(self.tasks),
            tell=self._progress,
        )

    def _trained(self, manifest: dict[str, Any]) -> Any:
        start = self.options.start or self.start
        return [
            manifest["sha256"],
            self.base.sha256 or self.base.name,
            str(start),
            self.options.recipe,
            self.options.minutes,
        ]

    def _train(self, at: Round) -> dict[str, Any]:
        from finetune.runs import open_run
        from finetune.train import train

        start = self.options.start or (str(self.start) if self.start else "none")
        recipe = self.recipe(at.folder / "curated")
        run = open_run(recipe, self.base.name, start, minutes=self.options.minutes, resume=True, tell=self.tell)
        adapter = train(run, self.tell)
        assert adapter is not None
        figures = {"dev_loss_before": adapter.dev_loss_before, "dev_loss": adapter.dev_loss, "steps": adapter.steps}
        return {"adapter": str(run.folder / "adapter"), "sha256": adapter.sha256, **figures}

    def _export(self, at: Round, adapter: dict[str, Any]) -> dict[str, Any]:
        name, label, kind = self.options.name, f"v{at.state.number}", self.options.quantisation
        there = exported(ModelRef(kind="local", name=name, label=label))
        if there is not None and (there.adapter_sha256, there.quantisation) != (adapter["sha256"], kind):
            discard(there)  # of this very round, with other inputs
            there = None
        model = there or export_run(
            adapter["adapter"], name, label, quantisation=kind, tell=lambda what: self._progress(what, 0, 0)
        )
        return {"tag": model.ref.tag, "sha256": model.sha256, "proof": model.proof}

    def _gated(self, model: dict[str, Any]) -> Any:
        return [
            work.digest(self.tasks),
            self.champion,
            _revision(self.champion, self.loaded),
            model["sha256"],
            self.options.rules.model_dump(),
        ]

    def _gate(self, at: Round, model: dict[str, Any]) -> dict[str, Any]:
        folder = at.folder / "gate" / _hash(self._gated(model))[:12]
        config = self.loaded.config
        old, new = (
            outcomes(tag, self.tasks, config, folder / f"{side}.jsonl", self._progress)
            for side, tag in (("champion", self.champion), ("challenger", model["tag"]))
        )
        verdict = decide(old, new, (self.champion, model["tag"]), self.options.rules)
        made = _published(model["tag"])
        with_scores(
            made,
            {
                "against": self.champion,
                **verdict.model_dump(include={"decision", "n", "wins", "losses", "p"}),
                "accepted@3": verdict.challenger.accepted_at_3.value,
            },
        )
        return verdict.model_dump()

    def _promote(self, at: Round, tag: str) -> dict[str, Any]:
        if self.options.ollama:
            from export.ollama import publish_to_ollama

            tag = publish_to_ollama(_published(tag), self.loaded.config.server)
        change = configuration.use(tag, self.project, f"round {at.state.number}")
        return {"file": str(change.file), "before": change.before, "after": change.after}


def base_of(tag: str) -> str:
    """The base of the model that ``tag`` names. Raises UserMistake where it cannot be trained on, or nobody knows."""
    ref = parse(tag)
    if ref.kind in OWN:
        return ref.kind
    if ref.kind == "local" and (made := exported(ref)):
        return made.base
    if ref.kind == "hf":
        from testing_crew.backends.trained import of_adapter

        folder = Path(ref.adapter or ref.name).expanduser()
        return str(of_adapter(folder).get("base") or ref.name)
    raise UserMistake(
        f"which weights {tag} was made of is not known here",
        hint="name the base to train on: --base smollm2, a folder, ORG/NAME",
    )


def _must_be_new(at: Round, manifest: dict[str, Any], options: Options) -> None:
    """A round with the very pairs and options of the last one would make the same model again."""
    before = [each for each in rounds() if each.state.finished_at and each.state.number < at.state.number]
    if not before or before[-1].state.options != json.loads(json.dumps(options.model_dump(), default=list)):
        return
    last = before[-1].state
    same = last.steps.get("curate")
    if same is not None and same.output.get("sha256") == manifest["sha256"]:
        raise UserMistake(
            f"nothing new since round {last.number} ({last.decision}): the same {manifest['kept']} pairs are left",
            hint="`testing-crew write PATH` makes more, so does --self-play PATH",
        )


def _published(tag: str) -> Exported:
    model = exported(parse(tag))
    assert model is not None
    return model


def _revision(tag: str, loaded: configuration.LoadedConfig) -> str:
    backend = open_backend(tag, loaded.config.server)
    try:
        return backend.revision
    finally:
        backend.close()


def _hash(values: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()
