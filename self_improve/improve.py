"""The loop closed: yesterday's repairs become a model, the model meets the one in use, and the better one is used.

    collect → curate → train C → export → gate → promote

Each station reads what the one before it left in the round's folder and in the workspace, and is passed over where its
inputs did not change: a round that was killed is gone on with by the same command.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.task import Task, digest
from export.export import Quantisation
from export.registry import discard, exported, named, published, with_scores
from export.verify import NotTheSameModel
from finetune.adapters import must_fit, newest, weights_of
from finetune.bases import Base, find_base
from finetune.recipe import Recipe, read_recipe, shipped
from self_improve import tasks as work
from self_improve.champion import base_of, registered_tag, revision_of
from self_improve.curation import curate_store
from self_improve.exporting import export_run
from self_improve.gate import Rules, Verdict, decide
from self_improve.play import outcomes, self_play
from self_improve.rounds import Round, State, current, mark_of, rounds
from testing_crew import config as configuration
from testing_crew.backends.llama import sha256_of
from testing_crew.backends.ollama import must_answer
from testing_crew.backends.ref import parse
from testing_crew.errors import UserMistake
from trace_logger.curation import curate
from trace_logger.curation.fingerprints import Fingerprints
from trace_logger.records import Record
from trace_logger.store import TraceStore

Tell = Callable[[dict[str, Any]], None]
HELD_OUT = 1 / 3  # of the project's modules, where no tasks are named
CURATED, MARKS = "curated", "held_out.json"  # in a round's folder
_MORE = "`testing-crew write PATH` makes more, so does --self-play PATH"


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

    @cached_property
    def champion(self) -> str:
        """The model in use; of a round that was stopped when the tag was swapped already, the one before."""
        tag = self.loaded.config.model
        gate = current().state.steps.get("gate")
        if gate is not None and registered_tag(tag) == gate.output["challenger"]["model"]:
            return str(gate.output["champion"]["model"])
        return tag

    @cached_property
    def tasks(self) -> list[Task]:
        """What the gate decides on, and nothing like it is trained on. Raises UserMistake where there is none."""
        interpreter = self.loaded.config.interpreter
        paths = [Path(path) for path in self.options.tasks]
        found = work.load(paths, interpreter) if paths else work.held_out(self.project, HELD_OUT, interpreter)
        if not found:
            raise UserMistake(
                f"no module of {self.project} is held out for the gate to decide on", hint="name some: --tasks PATH"
            )
        return found

    @cached_property
    def practice(self) -> list[Task]:
        """What self-play works on: what was named, without what the gate decides on."""
        every = work.load([Path(path) for path in self.options.self_play], self.loaded.config.interpreter)
        return [task for task in every if task.file not in self._held_files and not self._marks.resembles(task.code)]

    @cached_property
    def _marks(self) -> Fingerprints:
        return work.fingerprints(self.tasks)

    @property
    def _held_files(self) -> frozenset[str]:
        return frozenset(task.file for task in self.tasks if Path(task.file).is_absolute())

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

    def recipe(self, folder: Path) -> Recipe:
        """Stage C over the pairs curated into ``folder``; what is replayed does not resemble what is decided on, either."""
        pairs, marks = json.dumps([f"traces:{folder / CURATED}"]), json.dumps(str(folder / MARKS))
        return read_recipe(shipped("c"), [f"data.sources={pairs}", f"data.fingerprints={marks}", *self.options.recipe])

    def check(self) -> None:
        """Raises UserMistake for what is wrong with the options, before anything is begun."""
        for kind in ("local", "ollama"):
            parse(f"{kind}/{self.options.name}:v1")
        self.recipe(Path())
        if self.options.start not in (None, "none"):
            noted = must_fit(weights_of(Path(str(self.options.start)).expanduser()), self.base)
            if noted is not None and noted.stage == "c":
                raise UserMistake(
                    f"{noted.name} is of stage c: a round starts from the base and b", hint="--from another"
                )
        if self.options.fingerprints:
            Fingerprints.load(self.options.fingerprints)
        if self.options.ollama:
            must_answer(self.loaded.config.server)
        _ = self.base_name, self.tasks, self.practice  # each says what is wrong with it

    def go(self) -> Round:
        """Make the round, or the rest of the one that was stopped; returns it finished. The caller holds `rounds.lock`.

        Raises UserMistake and the stations' own errors: what was done until then stands.
        """
        at = current()
        at.note(options=self.options.model_dump())
        self._say(at, "collect", f"{len(self.practice)} tasks of self-play" if self.practice else "what the store has")
        at.step("collect", self._collected(), lambda: self._collect(at))
        self._say(at, "curate", "each pair is run again")
        manifest = at.step("curate", self._curated(), lambda: self._curate(at))
        self._must_be_new(at, manifest)
        self._say(at, "train", f"stage C on {self.base.name}")
        adapter = at.step("train", self._trained(manifest), lambda: self._train(at))
        self._say(at, "export", "merge, convert, prove")
        asked = [adapter["sha256"], self.options.name, self.options.quantisation]
        try:
            model = at.step("export", asked, lambda: self._export(at, adapter))
        except NotTheSameModel as error:
            at.finish("kept", f"the export is not proven: {error.message}")
            return at
        self._say(at, "gate", f"{self.champion} and {model['tag']} on {len(self.tasks)} tasks")
        judged = self._gated(model)
        verdict = Verdict.model_validate(at.step("gate", judged, lambda: self._gate(at, model, mark_of(judged))))
        if verdict.decision == "promoted":
            self._say(at, "promote", model["tag"])
            try:
                at.step("promote", [model["tag"], str(self.project)], lambda: self._promote(at, model["tag"]))
            except NotTheSameModel as error:
                at.finish("kept", f"it is better here, but not as Ollama serves it: {error.message}")
                return at
        at.finish(verdict.decision, verdict.why)
        return at

    def _say(self, at: Round, name: str, what: str) -> None:
        self.tell({"event": "station", "round": at.state.number, "name": name, "what": what})

    def _progress(self, what: str, done: int, of: int) -> None:
        self.tell({"event": "data", "what": what, "done": done, "of": of})

    def _must_be_new(self, at: Round, manifest: dict[str, Any]) -> None:
        """A round that would make the same model and put it to the same test as the last one is not made."""
        options = self.options.model_dump(include={"name", "quantisation", "rules", "ollama"})
        identity = mark_of([self._trained(manifest), digest(self.tasks), options])
        before = [each.state for each in rounds() if each.state.finished_at]
        if before and before[-1].identity == identity and self._met(before[-1]):
            at.drop()
            last = f"round {before[-1].number} ({before[-1].decision})"
            raise UserMistake(
                f"nothing new since {last}: the same {manifest['kept']} pairs are left",
                hint=f"{_MORE}; --tasks PATH gives the gate others",
            )
        at.note(identity=identity)

    def _met(self, last: State) -> bool:
        """Whether the model in use is what the ``last`` round had: its champion, or what it promoted."""
        gate = last.steps.get("gate")
        return gate is None or self.champion == gate.output["champion"]["model"] or last.decision == "promoted"

    # What goes into a station, and what it makes of it

    def _collected(self) -> Any:
        return [self.champion if self.practice else "", digest(self.practice), self.options.samples]

    def _collect(self, at: Round) -> dict[str, Any]:
        if not self.practice:
            return {"tasks": 0, "accepted": 0}
        kept = at.folder / f"played-{mark_of(self._collected())[:12]}.jsonl"
        config, samples = self.loaded.config, self.options.samples
        accepted = self_play(self.champion, self.practice, samples, config, kept, self._progress)
        return {"tasks": len(self.practice) * samples, "accepted": accepted}

    def _curated(self) -> Any:
        with TraceStore.open() as store:
            pairs = [(p.code, p.failed_test, p.fixed_test) for p in store.pairs()]
        return [mark_of(pairs), self.options.curation.model_dump(), *self._left_out()]

    def _left_out(self) -> list[str]:
        """What nothing that is trained on may resemble."""
        marks = sha256_of(Path(self.options.fingerprints)) if self.options.fingerprints else ""
        return [marks, digest(self.tasks)]

    def _curate(self, at: Round) -> dict[str, Any]:
        asked = Path(self.options.fingerprints) if self.options.fingerprints else None
        (self._marks | Fingerprints.load(asked) if asked else self._marks).save(at.folder / MARKS)
        manifest = curate_store(
            at.folder / CURATED,
            self.options.curation,
            fingerprints=asked,
            held_out=self._marks,
            held_files=self._held_files,
            tell=self._progress,
        )
        if not manifest["dev"]:
            what = (
                f"the {manifest['kept']} pairs that are left are all of one function, and another must judge training"
            )
            raise UserMistake(what, hint=_MORE)
        return manifest

    def _trained(self, manifest: dict[str, Any]) -> Any:
        start = str(self.options.start or self.start)
        return [
            manifest["sha256"],
            self._left_out(),
            self.base.sha256 or self.base.name,
            start,
            self.options.recipe,
            self.options.minutes,
        ]

    def _train(self, at: Round) -> dict[str, Any]:
        from finetune.runs import open_run
        from finetune.train import train

        start = self.options.start or (str(self.start) if self.start else "none")
        recipe = self.recipe(at.folder)
        run = open_run(recipe, self.base.name, start, minutes=self.options.minutes, resume=True, tell=self.tell)
        adapter = train(run, self.tell)
        assert adapter is not None
        figures = {"dev_loss_before": adapter.dev_loss_before, "dev_loss": adapter.dev_loss, "steps": adapter.steps}
        return {"adapter": str(run.folder / "adapter"), "sha256": adapter.sha256, **figures}

    def _export(self, at: Round, adapter: dict[str, Any]) -> dict[str, Any]:
        name, kind = self.options.name, self.options.quantisation
        if not at.state.label.startswith(f"{name}:"):
            # noted before anything is published: only what lies under it is this round's to replace
            at.note(label=f"{name}:{named(name, None).label}")
        ref = parse(f"local/{at.state.label}")
        there = exported(ref)
        if there is not None and (there.adapter_sha256, there.quantisation) != (adapter["sha256"], kind):
            discard(there)
            there = None
        made = there or export_run(
            adapter["adapter"], name, ref.label, quantisation=kind, tell=lambda what: self._progress(what, 0, 0)
        )
        return {"tag": made.ref.tag, "sha256": made.sha256, "proof": made.proof}

    def _gated(self, model: dict[str, Any]) -> Any:
        served = [self.champion, revision_of(self.champion, self.loaded.config.server), model["sha256"]]
        return [digest(self.tasks), *served, self.options.rules.model_dump()]

    def _gate(self, at: Round, model: dict[str, Any], mark: str) -> dict[str, Any]:
        folder = at.folder / "gate" / mark[:12]
        sides = (("champion", self.champion), ("challenger", model["tag"]))
        old, new = (
            outcomes(tag, self.tasks, self.loaded.config, folder / f"{side}.jsonl", self._progress)
            for side, tag in sides
        )
        verdict = decide(old, new, (self.champion, model["tag"]), self.options.rules)
        scores = verdict.model_dump(include={"decision", "n", "wins", "losses", "p"})
        rate = verdict.challenger.accepted_at_3.value
        with_scores(published(parse(model["tag"])), {"against": self.champion, "accepted@3": rate, **scores})
        return verdict.model_dump()

    def _promote(self, at: Round, tag: str) -> dict[str, Any]:
        if self.options.ollama:
            from export.ollama import publish_to_ollama

            tag = publish_to_ollama(published(parse(tag)), self.loaded.config.server)
        change = configuration.use(tag, self.project, f"round {at.state.number}")
        # where the tag was swapped before the round was stopped, nothing is swapped now
        return {"file": str(change.file), "before": self.champion, "after": change.after}
