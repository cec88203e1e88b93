"""The command line: results to stdout, progress and messages to stderr; exit code 2 is wrong input, 1 failed work."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from harness.settings import RunSettings

app = typer.Typer(
    help="Train, tune, evaluate and register recommenders that forget the way people do.\n\n"
    "Start with: lethe run configs/quickstart.yaml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Config = Annotated[Path, typer.Argument(help="A configuration file, as in configs/.", show_default=False)]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting: --set search.trials=8 (again for more).", metavar="A.B=C"),
]
With = Annotated[
    list[Path] | None,
    typer.Option("--with", help="Lay this file over CONFIG, as configs/cluster/spot.yaml (again for more)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout and nothing else.")]
Which = Annotated[str, typer.Option("--model", help="A version number or alias of the registered model.")]


def _load(config: Path, changes: list[str] | None, shapes: list[Path] | None) -> RunSettings:
    from harness.settings import load

    return load(config, changes, shapes or ())


def _emit(result: dict[str, Any], as_json: bool, show: Callable[[dict[str, Any]], None]) -> None:
    if as_json:
        sys.stdout.write(json.dumps(result, indent=2, allow_nan=False) + "\n")
    else:
        show(result)


@app.command()
def prepare(config: Config, set_: Changes = None, with_: With = None, as_json: Json = False) -> None:
    """Read, validate and pack the event log of a configuration, or append the files that are new since.

    A preparation that was killed goes on where it was.

    Example: lethe prepare configs/quickstart.yaml --set data.memory=2GB
    """
    from harness.steps.workshop import Workshop

    store = Workshop.open(_load(config, set_, with_)).store
    counts = store.counts
    result = {
        "events": counts.events,
        "users": counts.users,
        "items": counts.items,
        "rejected": counts.rejected,
        "reasons": counts.by_reason,
        "duplicates": counts.duplicates,
        "segments": store.segments,
        "appended": 0 if store.reused else store.appended,
        "store": store.where,
        "rejected_file": str(store.rejected_file),
        "fingerprint": store.fingerprint,
        "reused": store.reused,
    }
    from harness.tables import pairs

    _emit(result, as_json, pairs)


@app.command()
def train(config: Config, set_: Changes = None, with_: With = None, as_json: Json = False) -> None:
    """Pretrain the model of a configuration, and its control under `none`, on Ray Train, before the validation cut.

    Example: lethe train configs/quickstart.yaml --set train.workers=2
    """
    from harness.steps.workshop import Workshop
    from harness.tables import pairs

    settings = _load(config, set_, with_)
    fits = Workshop.open(settings).pretrain()
    found = {term.label: fits.curve(term) for term in settings.model.terms}
    terms, curves = list(found), {label: curve.to_dict() for label, curve in found.items() if curve}
    _emit({"fits": str(fits.folder), "terms": terms, "training": curves}, as_json, pairs)


@app.command()
def search(config: Config, set_: Changes = None, with_: With = None, as_json: Json = False) -> None:
    """Search the space of a configuration with Ray Tune, and the same under `none`.

    Example: lethe search configs/quickstart.yaml --set search.trials=64
    """
    from harness.errors import ConfigurationError
    from harness.steps.workshop import Workshop
    from harness.story.search import search_story
    from harness.story.tables import show_search

    settings = _load(config, set_, with_)
    if settings.search is None:
        raise ConfigurationError("`lethe search` needs a block `search` with `trials` and `space`.")
    workshop = Workshop.open(settings)
    fits = workshop.pretrain()
    found, control = workshop.search(fits)
    best = found.settings(found.ranking[0])
    if settings.search.population:
        # Trained from the start, a schedule earns what it earned in the search, or it says so.
        fits = workshop.serving([best, control.settings(control.ranking[0])], fits)
    result = search_story(workshop, found, control, fits) | {
        "model": best.model_dump(mode="json", exclude_none=True)
    }
    _emit(result, as_json, show_search)


@app.command()
def finetune(config: Config, set_: Changes = None, with_: With = None, as_json: Json = False) -> None:
    """Fine-tune the pretrained model of a configuration on the recent window, and say whether validation keeps it.

    Example: lethe finetune configs/quickstart.yaml --set finetune.window_days=30
    """
    from harness.errors import ConfigurationError
    from harness.steps.workshop import Workshop
    from harness.tables import pairs

    settings = _load(config, set_, with_)
    if settings.finetune is None:
        raise ConfigurationError(
            "`lethe finetune` needs a block `finetune`, such as finetune: {window_days: 60}."
        )
    workshop = Workshop.open(settings)
    tuned = workshop.finetune(workshop.pretrain(tune=True), settings.model)
    assert tuned is not None  # the configuration asks for it
    result = {"kept": tuned.kept, "reason": tuned.reason, "epochs": tuned.epochs}
    _emit(result | {settings.metric: tuned.difference.to_dict()}, as_json, pairs)


@app.command()
def evaluate(
    config: Config,
    stage: Annotated[str, typer.Option(help="val or test.")] = "test",
    model: Annotated[
        str | None, typer.Option("--model", help="Evaluate this registered version or alias.")
    ] = None,
    set_: Changes = None,
    with_: With = None,
    as_json: Json = False,
) -> None:
    """Fit what a configuration describes, without a search, and evaluate it; or evaluate a registered version.

    Example: lethe evaluate configs/quickstart.yaml --stage val --json
    """
    from harness.commands.evaluating import evaluate_configuration
    from harness.steps.tables import show_evaluation

    _emit(evaluate_configuration(_load(config, set_, with_), stage, model), as_json, show_evaluation)


@app.command()
def compare(
    config: Config,
    others: Annotated[list[str], typer.Argument(help="Configurations, versions or aliases to compare with.")],
    model: Annotated[
        str | None, typer.Option("--model", help="Compare this version or alias, not CONFIG's own model.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write a page of all of it, as in compare.html.")] = None,
    set_: Changes = None,
    with_: With = None,
    as_json: Json = False,
) -> None:
    """Compare the model of a configuration, or a version, with others on the same test queries, paired.

    Example: lethe compare configs/quickstart.yaml 1 2 --model champion --out compare.html
    """
    from harness.commands.comparing import Comparison
    from harness.commands.tables import show_comparison
    from harness.report import comparison

    settings = _load(config, set_, with_)
    result = Comparison(settings, others, model, set_, with_ or ()).answer()
    if out is not None:
        name = settings.registry.name if settings.registry else config.stem
        result["report"] = str(comparison.page(result, name).write(out))
    _emit(result, as_json, show_comparison)


@app.command()
def recommend(
    config: Config,
    user: Annotated[str | None, typer.Option(help="A user id of the log.")] = None,
    at: Annotated[
        str | None, typer.Option(help="The moment, ISO 8601 or unix seconds; by default now.")
    ] = None,
    k: Annotated[int, typer.Option(min=1, help="How many items.")] = 10,
    model: Which = "champion",
    explain: Annotated[bool, typer.Option("--explain", help="Show what holds each item up.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Everybody's lists, into --out.")] = False,
    out: Annotated[Path | None, typer.Option(help="A Parquet file for --all.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="A folder of live user states, made of the log where there is none.")
    ] = None,
    events: Annotated[Path | None, typer.Option(help="New events for --state to take in, each once.")] = None,
    set_: Changes = None,
    with_: With = None,
    as_json: Json = False,
) -> None:
    """Recommend items to a user of the log at a moment, to everybody, or to a user of a live state.

    Example: lethe recommend configs/quickstart.yaml --user 17850 --at 2011-12-01 --explain
    """
    from harness.recommend import Request
    from harness.recommend.tables import show_recommendation
    from harness.tables import pairs

    request = Request(user, all_, out, state, events, at, k, model, explain)
    result = request.answer(_load(config, set_, with_))
    _emit(result, as_json, show_recommendation if user is not None else pairs)


@app.command()
def promote(
    config: Config,
    version: Annotated[str, typer.Argument(help="A version number or alias.")] = "candidate",
    set_: Changes = None,
    with_: With = None,
    as_json: Json = False,
) -> None:
    """Let the gate decide whether a registered version becomes champion.

    Example: lethe promote configs/quickstart.yaml candidate
    """
    from harness.commands.promoting import promote_version
    from harness.registry.tables import show_decision

    _emit(promote_version(_load(config, set_, with_), version), as_json, show_decision)


@app.command()
def rollback(config: Config, set_: Changes = None, with_: With = None, as_json: Json = False) -> None:
    """Make the champion before the present one champion again.

    Example: lethe rollback configs/quickstart.yaml
    """
    from harness.steps.registered import registry_of
    from harness.tables import pairs

    was, now = registry_of(_load(config, set_, with_)).rollback()
    _emit({"name": now.name, "was": was.version, "champion": now.version}, as_json, pairs)


@app.command()
def models(
    name: Annotated[
        str | None, typer.Argument(help="A registered model or a configuration; all if left out.")
    ] = None,
    show: Annotated[
        str | None, typer.Option("--show", help="All that is known of this version or alias.")
    ] = None,
    diff: Annotated[
        tuple[str, str] | None, typer.Option("--diff", help="In what these two differ.", metavar="A B")
    ] = None,
    as_json: Json = False,
) -> None:
    """List registered models and their versions, newest first; show one version, or in what two differ.

    Example: lethe models online-retail --diff champion candidate
    """
    from harness.errors import ConfigurationError
    from harness.registry import tables, versions
    from harness.registry.registry import Registry
    from harness.steps.registered import registered

    if show is None and diff is None:
        return _emit(versions.list_models(registered(name) if name else None), as_json, tables.show_models)
    if name is None or (show and diff):
        raise ConfigurationError(
            "`lethe models` takes one of `--show VERSION` and `--diff A B`, and a model or a configuration before it, "
            "as in lethe models online-retail --show champion."
        )
    registry = Registry(registered(name))
    if show is not None:
        return _emit(versions.show(registry, show), as_json, tables.show_version)
    assert diff is not None
    return _emit(versions.diff(registry, *diff), as_json, tables.show_difference)


@app.command()
def report(
    config: Config,
    change: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--change", help="What changes for people from one version to another.", metavar="NOW THEN"
        ),
    ] = None,
    users: Annotated[int, typer.Option(min=0, help="With --change: users shown with their lists.")] = 20,
    at: Annotated[
        str | None,
        typer.Option(help="With --change: the moment; by default after the last event of the log."),
    ] = None,
    k: Annotated[int, typer.Option(min=1, help="With --change: how many items a list has.")] = 10,
    out: Annotated[Path, typer.Option(help="With --change: the page.")] = Path("change.html"),
    set_: Changes = None,
    with_: With = None,
    as_json: Json = False,
) -> None:
    """Write the report of a run that is done once more; or a page of what would change if another version were live.

    Example: lethe report configs/quickstart.yaml --change champion candidate --out change.html
    """
    from harness.job.publishing import write_report
    from harness.tables import pairs

    settings = _load(config, set_, with_)
    if change is None:
        return _emit({"report": str(write_report(settings))}, as_json, pairs)
    from harness.commands.changing import Change
    from harness.commands.tables import show_change
    from harness.report import change as changed

    result = Change(settings, *change, users=users, at=at, k=k).answer()
    result["report"] = str(changed.page(result).write(out))
    _emit(result, as_json, show_change)


@app.command()
def run(
    config: Config,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do a run that is done again, from the start.")
    ] = False,
    set_: Changes = None,
    with_: With = None,
    as_json: Json = False,
) -> None:
    """The main job: prepare, pretrain, search, fine-tune, evaluate, simulate the A/B test, register, report.

    A run that was interrupted goes on where it was.

    Example: lethe run configs/quickstart.yaml
    """
    from harness.job import pipeline
    from harness.job.tables import show_run

    _emit(pipeline.run(_load(config, set_, with_), config, fresh=fresh), as_json, show_run)


@app.command()
def doctor(config: Config, set_: Changes = None, with_: With = None, as_json: Json = False) -> None:
    """Look at what a configuration needs (Python, packages, data, disk, Ray, MLflow) and say what to mend.

    Example: lethe doctor configs/quickstart.yaml
    """
    from harness.doctor import examine
    from harness.doctor.tables import show_checks
    from harness.errors import IncompleteError

    result = examine(_load(config, set_, with_))
    _emit(result, as_json, show_checks)
    if not result["well"]:
        raise IncompleteError("something is to be mended, see above.")


def main() -> None:
    """Run the command line and turn errors that a person can mend into one line and an exit code."""
    # Ray 2.60 warns of its own defaults at import; nobody who runs Lethe can act on that.
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    from harness.data.errors import DataError
    from harness.errors import ConfigurationError, IncompleteError

    try:
        app()
    except (ConfigurationError, DataError) as error:
        _leave(str(error), 2)
    except IncompleteError as error:
        _leave(str(error), 1)
    except OSError as error:
        if error.errno is None:
            raise
        _leave(str(error), 1)
    except Exception as error:
        if not type(error).__module__.startswith("mlflow."):
            raise
        _leave(f"the registry: {' '.join(str(error).split())}", 1)


def _leave(message: str, code: int) -> NoReturn:
    from harness.masking import masked

    sys.stderr.write(f"lethe: {masked(message)}\n")
    sys.exit(code)
