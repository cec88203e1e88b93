"""The sections on what the model is worth: evaluation, segments, A/B test, audit, how to repeat it."""

from __future__ import annotations

from typing import Any

from evaluators import METRICS, Coverage
from harness.report import words
from harness.report.blocks import Block, Code, Facts, Filter, Gallery, Part, Section, Shot, Table, Text
from harness.report.opening import AGAINST, relative
from harness.report.parts import Summary, dig, items_of, maps, metric_of, slug, text_of
from harness.report.words import finite

SEGMENTS = {
    "recency": ("By time since the user's last event", "Last event"),
    "history": ("By length of the user's history", "Events before"),
    "cold": ("People that training knows, and others", "User"),
    "adaptation": ("By events since the user's interest shifted", "Events since"),
    "novelty": ("Repeats and new items", "Relevant items"),
    "popularity": ("By popularity of the items", "Relevant items"),
    "category": ("By category of the items", "Relevant items"),
}
_AUDIT = {
    "training_events": "training events",
    "queries": "queries",
    "future_of_first": "training events at or after the first query",
    "future_of_average": "training events at or after the average query",
    "in_training_period": "queries not after the last training event",
    "unknown_items": "asked events whose item training never saw",
    "unknown_moments": "asked moments all of whose items training never saw",
    "duplicates": "rows that repeat an earlier one",
    "straddling": "moments partly in training, partly not",
}


def evaluation(summary: Summary) -> Section:
    """Every metric of every model, and the paired differences."""
    held, metric = summary.get("evaluation"), words.metric(metric_of(summary))
    models = items_of(summary.get("models"))
    if not models and dig(held, "metrics"):
        models = [("candidate", dig(held, "metrics"))]
    if not models and not maps(summary.get("comparisons")):
        return Section("evaluation", "Evaluation", [Text("This run was not evaluated.", "note")])
    blocks: list[Block] = []
    if finite(dig(held, "queries")) is not None:
        users, catalogue = words.counted(dig(held, "users"), "user"), words.count(dig(held, "catalogue"))
        asked = words.counted(dig(held, "queries"), "query", "queries")
        stage = text_of(dig(held, "stage"), "evaluation")
        blocks.append(Text(f"{asked} by {users} on {stage}, each ranked over {catalogue} items."))
    blocks.append(
        Gallery(
            [
                Shot(
                    "models",
                    f"{metric} of {words.listed(name for name, _ in models)}, with intervals.",
                    f"{metric} of each model with its interval",
                ),
                Shot(
                    "comparisons",
                    f"Paired difference of the candidate in {metric} to each other model, with intervals.",
                    "Candidate minus the other, on the same queries: the interval of a gain clears the line",
                ),
            ]
        )
    )
    if models:
        blocks += _metrics(models)
    pairs = [row for c in maps(summary.get("comparisons")) for row in _paired(summary, c)]
    head = ["Against", "Metric", "Difference", "Relative", "p", "Reading"]
    compared = Table("Paired differences: the candidate minus the other model", head, pairs, (2, 3))
    blocks.append(compared if pairs else Text("The candidate was compared with no other model.", "note"))
    return Section("evaluation", "Evaluation", blocks)


def _metrics(models: list[tuple[str, Any]]) -> list[Block]:
    """What was found, then, where asked for, what the lists are like; and which intervals are of another kind."""
    names = list(dict.fromkeys(name for _, cells in models for name, _ in items_of(cells)))
    about = [name for name in names if _describes(name)]
    found = [name for name in names if name not in about]
    heads = [name for name, _ in models]

    def cells(name: str) -> list[str]:
        return [words.of(dig(held, name)) for _, held in models]

    blocks: list[Block] = []
    if found:
        rows = [[words.metric(name), *cells(name)] for name in found]
        head = ["Metric", *heads]
        blocks.append(Table("Metrics, mean and interval", head, rows, range(1, len(head))))
    if about:
        rows = [[words.metric(name), words.better(name), *cells(name)] for name in about]
        head = ["Metric", "Better", *heads]
        blocks.append(Table("What the lists are like, mean and interval", head, rows, range(2, len(head))))
    return blocks + [Text(line, "note") for line in words.intervals_of_their_own(names)]


def _describes(name: str) -> bool:
    """Whether a metric tells of the lists and not of what was found in them; coverage stays by what the gate reads."""
    kind = METRICS.get(name.partition("@")[0])
    return kind is not None and not kind.decides and kind is not Coverage


def _paired(summary: Summary, comparison: Summary) -> list[list[str]]:
    """A row for each metric of a comparison."""
    other = text_of(comparison.get("against"))
    cells = [(n, c) for n, c in items_of(comparison) if finite(dig(c, "difference")) is not None]
    return [
        [
            AGAINST.get(other, other),
            words.metric(name),
            words.of(cell, sign=True),
            words.share(relative(summary, other, name, cell), sign=True),
            words.chance(dig(cell, "p")),
            words.judged(cell),
        ]
        for name, cell in cells
    ]


def segments(summary: Summary) -> Section:
    """The metric apart for different people and items."""
    kinds = [
        (kind, parts)
        for kind, parts in items_of(dig(summary, "evaluation", "segments"))
        if len(items_of(parts)) > 1  # one segment alone is everybody
    ]
    if not kinds:
        return Section("segments", "Segments", [Text("No segment was evaluated apart.", "note")])
    parts = [_segment(summary, kind, held) for kind, held in kinds]
    return Section("segments", "Segments", [Filter("Show", parts, "all segments")])


def _segment(summary: Summary, kind: str, parts: object) -> Part:
    """One kind of segments: its picture, and its figures."""
    metric = words.metric(metric_of(summary))
    title, column = SEGMENTS.get(kind, (f"By {kind}", kind.capitalize()))
    names = words.listed(words.bucket(name) for name, _ in items_of(parts))
    shot = Shot(slug("segment", kind), f"{metric} {title[0].lower()}{title[1:]}: {names}.", title)
    rows = [
        [
            words.bucket(name),
            words.count(dig(part, "queries")),
            words.count(dig(part, "users")),
            words.of(dig(part, "metrics", metric_of(summary))),
        ]
        for name, part in items_of(parts)
    ]
    table = Table(title, [column, "Queries", "Users", metric], rows, (1, 2, 3), sortable=len(rows) > 2)
    return Part(title, [Gallery([shot, table])])


def audit(summary: Summary) -> Section:
    """Whether the split could leak the future."""
    held = dig(summary, "evaluation", "audit")
    if not held:
        return Section("audit", "The audit of the split", [Text("The split was not audited.", "note")])
    leaks = bool(dig(held, "leaks"))
    default = "The split leaks the future." if leaks else "The split does not leak the future."
    rows = []
    for name, value in items_of(held):
        if name in {"leaks", "verdict", "findings", "notices"}:
            continue
        shown = words.share(value) if isinstance(value, float) and 0 <= value <= 1 else words.compact(value)
        whole = isinstance(value, int) and not isinstance(value, bool)
        rows.append([_AUDIT.get(name, name.replace("_", " ")), words.count(value) if whole else shown])
    blocks: list[Block] = [Text(text_of(dig(held, "verdict"), default), "warn" if leaks else "plain")]
    for title, key in (("What leaks", "findings"), ("Worth knowing, but no leak", "notices")):
        found = [
            [
                text_of(each.get("name")).replace("_", " "),
                words.count(each.get("count")),
                text_of(each.get("sentence")),
            ]
            for each in maps(dig(held, key))
        ]
        if found:
            blocks.append(Table(title, ["What", "How many", "In words"], found, (1,)))
    if rows:
        blocks.append(Table("What the audit counted", ["What", "How much"], rows, (1,)))
    return Section("audit", "The audit of the split", blocks)


def reproduce(summary: Summary) -> Section:
    """Commands, versions and names to find the run again."""
    lines = summary.get("reproduce")
    blocks: list[Block] = []
    if isinstance(lines, list) and lines:
        blocks.append(Code("Commands", "\n".join(str(line) for line in lines)))
    model, version = dig(summary, "model", "name"), dig(summary, "model", "version")
    facts = [
        ("Run", summary.get("run_id")),
        ("Model", f"{model}, version {version}" if model is not None else None),
        ("Aliases", words.listed(dig(summary, "model", "aliases") or [])),
        ("Fingerprint of the data", summary.get("fingerprint")),
        ("Versions", ", ".join(f"{name} {held}" for name, held in items_of(summary.get("versions")))),
    ]
    known = [(name, str(value)) for name, value in facts if value]
    if known:
        blocks.append(Facts(known))
    return Section(
        "reproduce", "How to reproduce", blocks or [Text("Nothing was recorded to repeat this run.", "note")]
    )
