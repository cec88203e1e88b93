"""The sections on what went in: what was asked, the data, the training."""

from __future__ import annotations

from harness.report import words
from harness.report.blocks import Block, Code, Facts, Gallery, Section, Shot, Table, Text
from harness.report.parts import Summary, dig, items_of, maps, metric_of, slug, text_of
from harness.report.words import finite


def asked(summary: Summary, config_text: str) -> Section:
    """The configuration in a few lines, and all of it."""
    cuts = [finite(cut) for cut in summary.get("cuts") or []]
    pairs = [("Protocol", words.protocol(text_of(summary.get("protocol"))))]
    if horizon := items_of(summary.get("horizon")):
        ahead = words.listed(words.duration(value, unit) for unit, value in horizon)
        pairs.append(("Horizon", f"everything taken within {ahead} from the moment on is right"))
    if len(cuts) == 2:
        low, high = (f"{100 * (cut or 0):g} %" for cut in cuts)
        pairs.append(
            (
                "Cuts",
                f"fitted before {low} of the events, chosen by the events up to {high}, tested on the rest",
            )
        )
    if summary.get("repeats") is not None:
        counted = (
            "items a user already had may be recommended"
            if summary["repeats"]
            else "only new items are recommended"
        )
        pairs.append(("Repeats", counted))
    pairs.append(("Metric", words.metric(metric_of(summary))))
    if (trials := dig(summary, "search", "trials")) is not None:
        control = finite(dig(summary, "search", "control_trials"))
        more = f", and {words.count(control)} more for the same model without forgetting" if control else ""
        pairs.append(("Search", words.counted(trials, "trial") + more))
    if summary.get("config_path"):
        pairs.append(("Configuration", str(summary["config_path"])))
    if finite(summary.get("seconds")) is not None:
        pairs.append(("Took", words.elapsed(summary["seconds"])))
    return Section(
        "asked",
        "What was asked",
        [Facts(pairs), Code("The whole configuration, resolved", config_text, True)],
    )


def data(summary: Summary) -> Section:
    """What the log looks like and what was set aside."""
    held = summary.get("data")
    if not isinstance(held, dict) or not held:
        return Section("data", "The data", [Text("This run left no account of its data.", "note")])
    profile = held.get("profile")
    blocks: list[Block] = []
    first, last = dig(profile, "span", "first"), dig(profile, "span", "last")
    if first and last:
        blocks.append(Text(f"Events from {words.day(first)} to {words.day(last)}{_habits(profile)}."))
    cells: list[Shot | Table] = [*_log_shots(profile)]
    if rows := _counts(held, profile):
        cells.append(Table("What is in the log", ["What", "How much"], rows, (1,)))
    rejected = finite(held.get("rejected"))
    reasons = [[reason, words.count(n)] for reason, n in items_of(held.get("reasons"))]
    if reasons:
        whole = f", {words.count(rejected)} in all" if rejected is not None else ""
        cells.append(Table(f"Rows set aside{whole}", ["Reason", "Rows"], reasons, (1,)))
    blocks.append(Gallery(cells))
    if rejected is not None and not reasons:
        aside = f"{words.counted(rejected, 'row')} set aside." if rejected else "No row was set aside."
        blocks.append(Text(aside))
    return Section("data", "The data", blocks)


def _log_shots(profile: object) -> list[Shot]:
    first, last = words.day(dig(profile, "span", "first")), words.day(dig(profile, "span", "last"))
    half = words.duration(finite(dig(profile, "gap_days", "p50")))
    mean = words.number(dig(profile, "baskets", "mean"), 1)
    gaps = "Share of the gaps between a user's moments that are at most so long"
    return [
        Shot("data_timeline", f"Events over time, from {first} to {last}.", "Events over time"),
        Shot("data_gaps", f"{gaps}; half are within {half}.", f"How soon a user comes back: {gaps.lower()}"),
        Shot("data_baskets", f"Events in a moment, {mean} on average.", "How many events share a moment"),
    ]


def _counts(held: Summary, profile: object) -> list[list[str]]:
    known = [
        ("events", words.count, held.get("events")),
        ("users", words.count, held.get("users")),
        ("items", words.count, held.get("items")),
        ("moments", words.count, dig(profile, "baskets", "moments")),
        ("median events per user", words.count, dig(profile, "events_per_user", "p50")),
        ("repeats", words.share, dig(profile, "repeat_share")),
        ("events of the top 1 % of items", words.share, dig(profile, "popularity", "top_1_percent_share")),
    ]
    return [[name, shown(value)] for name, shown, value in known if finite(value) is not None]


def _habits(profile: object) -> str:
    known = finite(dig(profile, "repeat_share"))
    return "" if known is None else f"; {words.share(known)} of them repeat an item the user already had"


def training(summary: Summary) -> Section:
    """The loss of each neural term, and whether the fine-tuned model was kept."""
    fits = maps(summary.get("training"))
    blocks: list[Block] = []
    shots = []
    for place, fit in enumerate(fits):
        term, stage = text_of(fit.get("term"), "term"), text_of(fit.get("stage"), "fit")
        best = finite(fit.get("best_epoch"))
        kept = "" if best is None else f", epoch {best:.0f} kept"
        said = {"pretrain": "pretraining", "finetune": "fine-tuning"}.get(stage, stage)
        name = slug("training", place, fit.get("term", "term"), fit.get("stage", "fit"))
        shots.append(
            Shot(name, f"Loss and validation by epoch of {term}, {said}{kept}.", f"{term}, {said}{kept}")
        )
    blocks.append(
        Gallery(shots) if shots else Text("No term is trained by gradient: every fit is closed-form.", "note")
    )
    tuned = summary.get("finetune")
    if not isinstance(tuned, dict):
        return Section("training", "Training", [*blocks, Text("The model was not fine-tuned.", "note")])
    kept = "was kept" if tuned.get("kept") else "was not kept"
    reason = f": {str(tuned['reason']).rstrip('.')}" if tuned.get("reason") else ""
    blocks.append(Text(f"The fine-tuned model {kept}{reason}."))
    if finite(tuned.get("difference")) is not None:
        metric, gain = words.metric(metric_of(summary)), words.of(tuned, sign=True)
        blocks.append(Text(f"Fine-tuned minus pretrained, {metric}: {gain}, {words.chance(tuned.get('p'))}."))
    return Section("training", "Training", blocks)
