"""The sections on how the model came about: what was asked, the data, the curve, the search, the training."""

from __future__ import annotations

from harness.report import words
from harness.report.blocks import Block, Code, Facts, Gallery, Section, Shot, Table, Text
from harness.report.figures import slug
from harness.report.parts import Summary, dig, items_of, maps, metric_of, text_of
from harness.report.words import finite


def asked(summary: Summary, config_text: str) -> Section:
    """The configuration in a few lines, and all of it."""
    cuts = [finite(cut) for cut in summary.get("cuts") or []]
    pairs = [("Protocol", words.protocol(text_of(summary.get("protocol"))))]
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


def curve(summary: Summary) -> Section:
    """The chosen curve of each term, and every family beside it."""
    blocks: list[Block] = []
    terms = maps(summary.get("terms"))
    shots = [
        Shot(
            slug("curve", place, term.get("name", "term")),
            f"Retention of the term {text_of(term.get('name'))} by age, {_curve(term)}.",
            f"{text_of(term.get('name'))}: {_curve(term)}",
        )
        for place, term in enumerate(terms)
    ]
    families = maps(dig(summary, "search", "families"))
    best = text_of(families[0].get("family")) if families else ""
    compared = Shot(
        "families",
        f"Validation difference of each family to the best, {best}, with intervals.",
        "Every family against the best one on validation: a hollow dot cannot be told from it",
    )
    blocks.append(Gallery([*shots, compared]))
    rows = [
        [
            text_of(t.get("name")),
            text_of(t.get("kind")),
            words.compact(t.get("weight")),
            text_of(dig(t, "forgetting", "family"), "none"),
            text_of(dig(t, "forgetting", "clock")),
            words.settings(dig(t, "forgetting", "params")),
            _half_life(t),
            words.settings(t.get("settings")),
        ]
        for t in terms
    ]
    head = ["Term", "Kind", "Weight", "Family", "Clock", "Parameters", "Half-life", "Settings"]
    blocks.append(
        Table("The terms of the model", head, rows) if rows else Text("The model names no terms.", "note")
    )
    if not families:
        return Section(
            "curve", "The curve", [*blocks, Text("No families were compared in this run.", "note")]
        )
    blocks.append(
        Table(
            "Families side by side, on validation",
            [
                "Family",
                "Clock",
                "Half-life",
                "Trials",
                words.metric(metric_of(summary)),
                "Difference to the best",
                "Reading",
            ],
            [_family(f) for f in families],
            (3, 4, 5),
        )
    )
    return Section("curve", "The curve", blocks)


def _family(row: Summary) -> list[str]:
    best = finite(row.get("difference")) == 0 and not finite(row.get("low")) and not finite(row.get("high"))
    reading = "the best" if best else words.judged(row)
    half = words.duration(row.get("half_life"), text_of(row.get("unit"), "days"))
    return [
        text_of(row.get("family")),
        text_of(row.get("clock")),
        half,
        words.count(row.get("trials")),
        words.number(row.get("value")),
        words.NOTHING if best else words.of(row, sign=True),
        reading,
    ]


def _half_life(term: Summary) -> str:
    if not dig(term, "forgetting"):
        return "no half-life"
    return words.duration(
        dig(term, "forgetting", "half_life"), text_of(dig(term, "forgetting", "unit"), "days")
    )


def _curve(term: Summary) -> str:
    fading = _half_life(term)
    known = fading if fading == "no half-life" else f"half-life {fading}"
    return f"{text_of(dig(term, 'forgetting', 'family'), 'none')}, {known}"


def search(summary: Summary) -> Section:
    """What was tried, what mattered, and how sure the choice is."""
    held = summary.get("search")
    if not isinstance(held, dict) or not held:
        return Section(
            "search", "The search", [Text("No search ran: the configuration fixed every setting.", "note")]
        )
    best, metric = held.get("best"), words.metric(metric_of(summary))
    blocks: list[Block] = []
    if best:
        value = f"{metric} {words.number(dig(best, 'value'))} on validation"
        tried = words.counted(held.get("trials"), "trial")
        blocks.append(Text(f"The best trial is {text_of(dig(best, 'trial'))}, with {value}, of {tried}."))
    cells: list[Shot | Table] = [
        Shot(
            "search_history",
            f"{metric} on validation of each trial in order, with the best so far.",
            "Every trial in order; triangles are the control, the same model without forgetting",
        ),
        Shot(
            "search_importance",
            f"Importance of each searched parameter, {_shares(held)}.",
            f"Which parameters the value depended on. {text_of(held.get('importance_note'), '')}".strip(),
        ),
        Shot(
            "search_sure",
            "Difference of the best trial to the runner-up and to the best without forgetting.",
            "How far ahead the best is; a hollow dot cannot be told from zero",
        ),
    ]
    if params := items_of(dig(best, "params")):
        chosen = [[name, words.compact(value)] for name, value in params]
        cells.append(Table("What the search chose", ["Parameter", "Value"], chosen, (1,)))
    blocks.append(Gallery(cells))
    sure = [
        [
            f"the best against {'the ' if name != 'none' else ''}{name.replace('_', '-')}",
            text_of(dig(cell, "trial")),
            words.of(cell, sign=True),
            words.chance(dig(cell, "p")),
            words.judged(cell),
        ]
        for name, cell in items_of(held.get("sure"))
        if cell
    ]
    if sure:
        head = ["Comparison", "Trial", "Difference", "p", "Reading"]
        blocks.append(Table("How sure the choice is", head, sure))
    if finite(held.get("failed")):
        blocks.append(Text(f"{words.counted(held['failed'], 'trial')} failed.", "warn"))
    if failures := [[text_of(f.get("trial")), text_of(f.get("error"))] for f in maps(held.get("failures"))]:
        blocks.append(Table("Trials that failed", ["Trial", "Error"], failures))
    return Section("search", "The search", blocks)


def _shares(held: Summary) -> str:
    shares = [f"{name} {words.share(value)}" for name, value in items_of(held.get("importance"))]
    return ", ".join(shares) or "not known"


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
