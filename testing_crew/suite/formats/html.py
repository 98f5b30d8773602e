"""A report as one HTML file that asks for nothing from anywhere: it may be opened from a disk, or kept with a CI run."""

from __future__ import annotations

import base64
import hashlib
import re
from itertools import groupby
from pathlib import Path

from testing_crew.suite.formats.listing import Listing, anchor, escape
from testing_crew.suite.formats.words import KINDS, figures, made, ordered, place, row, several, summary, verdict
from testing_crew.suite.records import FileReport, Finding, ModuleReport, SuiteReport, TargetReport

_PAGE = Path(__file__).with_name("page.html")
_FIGURES = ("lines", "branches", "noticed", "flaky")
_HEADINGS = ("Lines run", "Branches run", "Noticed by assertions", "Flaky")


def render(report: SuiteReport) -> str:
    """The page: verdict, test files (the weakest first), findings, and the source of each module with what was found in it.

    The source is read now, from under ``report.root``; a file that is gone or has changed is said to be so in its place.
    """
    page = _PAGE.read_text(encoding="utf-8")
    parts = {
        "title": escape(f"testing-crew: {verdict(report).lower()}"),
        "body": _Body(report).html(),
        "style_hash": _hash(page, "style"),
        "script_hash": _hash(page, "script"),
    }
    return re.sub(r"\{(title|body|style_hash|script_hash)\}", lambda found: parts[found[1]], page)


def _hash(page: str, tag: str) -> str:
    """By which the page's policy knows its own ``tag``, so that no other is obeyed."""
    text = page.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class _Body:
    def __init__(self, report: SuiteReport) -> None:
        self._report = report
        root = Path(report.root)
        self._files = {file.path: f"f{number}" for number, file in enumerate(report.tests, 1)}
        self._modules = {module.path: f"m{number}" for number, module in enumerate(report.modules, 1)}
        self._listings = {each.path: Listing(root, each, self._modules[each.path]) for each in report.modules}

    def html(self) -> str:
        report = self._report
        mark = "good" if report.passed else "bad"
        parts = [
            f'<header><h1>testing-crew: <span class="{mark}">{escape(verdict(report).lower())}</span></h1>',
            f"<p>{escape(summary(report))}</p></header><main>",
            self._tests(),
            self._findings(),
            self._sources(),
            f"</main><footer><p>{escape(made(report))}; paths are from <code>{escape(report.root)}</code></p></footer>",
        ]
        return "\n".join(parts)

    def _tests(self) -> str:
        if not self._report.tests:
            return ""
        heads = "".join(f'<th class="figure" scope="col">{each}</th>' for each in _HEADINGS)
        rows = "".join(map(self._test, self._report.tests))
        return (
            f'<h2 id="tests">Test files</h2><table><thead><tr><th scope="col">Test file</th>{heads}</tr></thead>'
            f"<tbody>{rows}</tbody></table>"
        )

    def _test(self, file: FileReport) -> str:
        told = row(file)
        mark, word = ("good", "accepted") if told.accepted else ("bad", "not accepted")
        why = "".join(f"<li>{_said(says, mend)}</li>" for says, mend in told.why)
        about = f'<p class="soft">tests {self._of_module(told.target)}</p>' if told.target else ""
        cells = "".join(
            f'<td class="figure" data-label="{heading}:">{escape(getattr(told, figure))}</td>'
            for heading, figure in zip(_HEADINGS, _FIGURES, strict=True)
        )
        return (
            f'<tr id="{self._files[file.path]}"><td><code>{escape(file.path)}</code> <span class="{mark}">{word}</span>{about}'
            f"{f'<ul class=why>{why}</ul>' if why else ''}"
            f"{''.join(self._target(file, each) for each in file.targets)}</td>{cells}</tr>\n"
        )

    def _target(self, file: FileReport, target: TargetReport) -> str:
        """What the row does not say: pytest's own words, notes, and how it went with a further module."""
        further = target is not file.main
        parts = []
        if further:
            reasons = "".join(f"<li>{_said(each.says, each.mend)}</li>" for each in target.reasons)
            parts.append(f"<ul>{reasons or '<li>accepted</li>'}</ul>")
        if target.failures:
            parts.append(f"<pre>{escape(chr(10).join(target.failures))}</pre>")
        parts += [f'<p class="text">Note: {escape(each)}</p>' for each in target.notes]
        parts += [f'<p class="text">The code may be wrong: {escape(each)}</p>' for each in target.suspects]
        if not parts:
            return ""
        title = f"Also tests <code>{escape(target.target)}</code>" if further else "What pytest said"
        return f"<details><summary>{title}</summary>{''.join(parts)}</details>"

    def _findings(self) -> str:
        found = ordered(self._report.findings)
        if not found:
            return ""
        parts = ['<h2 id="findings">Findings</h2>']
        for (level, code), group in groupby(found, key=lambda each: (each.level, each.code)):
            items = [f"<li>{self._finding(each)}</li>\n" for each in group]
            opened = " open" if level == "error" else ""
            mark = {"error": "bad", "warning": "odd"}.get(level, "soft")
            parts.append(
                f'<details class="box"{opened}><summary>{KINDS[code].title}: <span class="{mark}">'
                f'{several(len(items), level)}</span></summary><p class="soft">{KINDS[code].about}</p>'
                f'<ul class="found">{"".join(items)}</ul></details>'
            )
        return "".join(parts)

    def _finding(self, finding: Finding) -> str:
        where = f"<code>{escape(place(finding))}</code>"
        listing = self._listings.get(finding.path)
        if listing is not None and finding.line is not None and listing.has(finding.line):
            where = f'<a href="#{anchor(self._modules[finding.path], finding.line)}">{where}</a>'
        elif finding.path in self._files:
            where = f'<a href="#{self._files[finding.path]}">{where}</a>'
        name = f" <code>{escape(finding.name)}</code>" if finding.name not in finding.message else ""
        return f"{where}{name}<br>{_said(finding.message, finding.mend)}"

    def _sources(self) -> str:
        if not self._report.modules:
            return ""
        legend = (
            '<p class="legend"><span>no test runs this line</span>'
            '<span class="of-change">a change that no test notices</span></p>'
        )
        modules = "".join(map(self._source, self._report.modules))
        return (
            f'<h2 id="modules">Modules</h2><p><button id="all" hidden>Unfold all modules</button></p>{legend}{modules}'
        )

    def _source(self, module: ModuleReport) -> str:
        listing = self._listings[module.path]
        by = ", ".join(self._of_file(each) for each in module.tests)
        return (
            f'<details class="box module" id="{self._modules[module.path]}"><summary><code>{escape(module.path)}</code> '
            f'<span class="soft">{escape("; ".join(figures(module)))}</span></summary>'
            f"{f'<p>Tested by {by}</p>' if by else ''}"
            f"{f'<p class=odd>{listing.trouble}</p>' if listing.trouble else listing.html()}</details>\n"
        )

    def _of_file(self, path: str) -> str:
        told = f"<code>{escape(path)}</code>"
        return f'<a href="#{self._files[path]}">{told}</a>' if path in self._files else told

    def _of_module(self, path: str) -> str:
        told = f"<code>{escape(path)}</code>"
        return f'<a href="#{self._modules[path]}">{told}</a>' if path in self._modules else told


def _said(says: str, mend: str) -> str:
    """What was found, and under it what mends it; what is between backticks as code."""
    more = f'<span class="mend text">{_quoted(mend)}</span>' if mend else ""
    return f'<span class="text">{_quoted(says)}</span>{more}'


def _quoted(text: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
