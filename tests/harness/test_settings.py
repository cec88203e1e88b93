"""Configurations: what is read, what is refused, and in which words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import ConfigurationError
from harness.settings import RunSettings, load
from tests.conftest import ROOT

BASE = """
data: {events: logs/events.csv}
model:
  terms:
    - {kind: own, weight: 1.0, forgetting: {family: power, tau: 7, exponent: 0.5}}
    - {kind: linear, l2: 500}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(BASE)
    return path


def refused(path: Path, *changes: str) -> str:
    """The one line that a wrong configuration ends with."""
    with pytest.raises(ConfigurationError) as caught:
        load(path, list(changes))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_paths_are_relative_to_the_file(
    config: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    settings = load(os.path.relpath(config), ["data.items=items.csv"])
    assert settings.data.items is not None
    assert Path(settings.data.event_locations[0]).resolve() == config.parent / "logs" / "events.csv"
    assert Path(settings.data.items).resolve() == config.parent / "items.csv"


def test_uris_and_absolute_paths_stay(config: Path) -> None:
    locations = ["s3://bucket/events.parquet", "/data/events.csv", "more.csv"]
    settings = load(config, [f"data.events={locations}"])
    assert settings.data.event_locations == [*locations[:2], str(config.parent / "more.csv")]


def test_set_changes_values_of_mappings_and_lists(config: Path) -> None:
    settings = load(
        config,
        [
            "model.terms.1.l2=20",
            "evaluate.k=[5, 7]",
            "search.trials=3",
            "model.terms.0.forgetting={family: none}",
        ],
    )
    own, linear = settings.model.terms
    assert linear.kind == "linear"
    assert linear.l2 == 20
    assert own.forgetting.family == "none"
    assert settings.evaluate.k == (5, 7)
    assert settings.search is not None
    assert settings.search.trials == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("split.protocol", "`--set` takes NAME=VALUE"),
        ("=3", "`--set` takes NAME=VALUE"),
        ("model.terms.7.l2=1", "there is no `7` to step into"),
        ("model.terms.2=1", "there is no `2` to set"),
        ("data.events.a=1", "there is no `a` to set"),
        ("data.events.a.b=1", "there is no `a` to step into"),
        ("seed=[1, 2", "`--set seed=[1, 2`"),
    ],
)
def test_a_bad_change_is_refused(config: Path, change: str, message: str) -> None:
    assert message in refused(config, change)


@pytest.mark.parametrize(
    ("change", "where", "nearest"),
    [
        ("serch.trials=3", "serch", "search"),
        ("split.protocl=loo", "split.protocl", "protocol"),
        ("data.colums={}", "data.colums", "columns"),
        ("data.columns.usr=u", "data.columns.usr", "user"),
        ("model.terms.1.l3=2", "model.terms.1.l3", "l2"),
        ("model.terms.0.forgetting.halflife=2", "model.terms.0.forgetting.halflife", "half_life"),
        ("model.terms.0.weigt=2", "model.terms.0.weigt", "weight"),
        ("model.terms.0.l2=2", "model.terms.0.l2", "scale"),  # another kind has it, this one does not
        (
            "search={space: {own: {forgetting: {familie: [none]}}}}",
            "search.space.own.forgetting.familie",
            "family",
        ),
        ("registry={name: a, gate: {margn: 1}}", "registry.gate.margn", "margin"),
        ("finetune.window_day=2", "finetune.window_day", "window_days"),
    ],
)
def test_an_unknown_key_names_the_nearest(config: Path, change: str, where: str, nearest: str) -> None:
    message = refused(config, change)
    assert f"{where}`; did you mean `{nearest}`?" in message
    assert str(config) in message


SPACE = "search={trials: 2, space: %s}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("split.cuts=[0.9, 0.8]", "`0 < cuts[0] < cuts[1] < 1` must hold, but got [0.9, 0.8]."),
        ("split.cuts=[0.5, 0.5]", "`0 < cuts[0] < cuts[1] < 1` must hold"),
        ("split.cuts=[0.8, 1.0]", "`0 < cuts[0] < cuts[1] < 1` must hold"),
        ("split.protocol=random", "but got 'random'"),
        ("model.terms=[]", "`model.terms`"),
        ("model.terms.0.kind=grrr", "grrr"),
        ("model.terms.1={kind: own}", "terms must have different names, but 2 are called 'own'"),
        ("model.terms.1.l2=0", "greater than 0, but got 0."),
        ("model.terms.1.l2=many", "but got 'many'."),
        ("model.terms.0.weight=-1", "greater than or equal to 0, but got -1."),
        ("model.terms.0.weight=.nan", "finite"),
        ("model.terms.0.forgetting.tau=-7", "`power.tau` must be a positive number, but got -7"),
        ("model.terms.0.forgetting={family: power, tau: 7}", "`power` takes the parameters (tau, exponent)"),
        ("model.terms.0.forgetting={family: geometric, rate: 1.5}", "`geometric.rate` must be at most 1"),
        ("evaluate.k=[0]", "k"),
        ("evaluate.k=[]", "`evaluate.k`: Tuple should have at least 1 item"),
        ("evaluate.metrics=[ndgc]", "ndcg"),
        ("evaluate.level=1", "less than 1, but got 1."),
        ("evaluate.interval=normal", "'percentile', 'bca' or 'robust'"),
        ("evaluate.seeds=[4]", "`evaluate.seeds` must be at least two different seeds, but got [4]."),
        ("evaluate.seeds=[4, 4]", "`evaluate.seeds` must be at least two different seeds, but got [4, 4]."),
        ("train.workers=-1", "`train.workers`: must be a number of workers from 0 on, or [fewest, most]"),
        ("train.workers=[0, 2]", "with 1 <= fewest <= most, but got [0, 2]."),
        ("train.workers=[3, 2]", "with 1 <= fewest <= most, but got [3, 2]."),
        ("train.workers=[1, 2, 3]", "with 1 <= fewest <= most, but got [1, 2, 3]."),
        ("train.workers=[]", "with 1 <= fewest <= most, but got []."),
        ("train.workers=1.5", "with 1 <= fewest <= most, but got 1.5."),
        ("train.workers=true", "with 1 <= fewest <= most, but got True."),
        ("train.precision=fp16", "`train.precision`: Input should be 'fp32' or 'bf16', but got 'fp16'."),
        ("train.sharding=all", "'none', 'optimiser' or 'model', but got 'all'."),
        ("train.accumulate=0", "greater than or equal to 1, but got 0."),
        ("train.ahead=-1", "greater than or equal to 0, but got -1."),
        ("train.timeout=0", "greater than or equal to 1, but got 0."),
        (
            "train.checkpoint.minutes=0",
            "`train.checkpoint.minutes`: Input should be greater than 0, but got 0.",
        ),
        ("train.checkpoint.keep=0", "greater than or equal to 1, but got 0."),
        ("train.checkpoint.epoch=2", "`train.checkpoint.epoch`; did you mean `epochs`?"),
        ("search={scheduler: {kind: asha, grase: 1}}", "`search.scheduler.grase`; did you mean `grace`?"),
        (
            "search={scheduler: {kind: pbt, quantil: 1}}",
            "`search.scheduler.quantil`; did you mean `quantile`?",
        ),
        (
            "search={scheduler: {kind: pbt, quantile: 0.7}}",
            "`search.scheduler.quantile`: Input should be less",
        ),
        ("search={scheduler: {kind: pb2}}", "`search.scheduler`: `kind` must be asha"),
        ("ab.shares=[0.2, 0.2]", "shares"),
        ("ab.shares=[0, 1]", "`shares` must be two positive numbers that sum to 1, but got [0.0, 1.0]."),
        ("ab.power=1", "less than 1, but got 1."),
        ("ab.tightest=0", "greater than 0, but got 0."),
        ("ab.cuped=perhaps", "but got 'perhaps'"),
        ("ab.guardrails={recall@10: 0}", "a guardrail's margin must be above 0, but got {recall@10: 0.0}."),
        ("ab.guardrails={recal@10: 0.1}", "recall"),
        ("ab.guardrails={coverage@10: 0.1}", "must be one metric with a value per query"),
        ("search.trials=0", "greater than or equal to 1, but got 0."),
        ("search.metric=coverage@10", "`search.metric` must be one metric with a value per query"),
        ("search.metric=gini@10", "per query of which more is better, such as ndcg@10, but got 'gini@10'"),
        ("evaluate.half_life=0", "greater than 0, but got 0."),
        (
            "evaluate.metrics=[hit_rating]",
            "the metric 'hit_rating@10' needs the weights or ratings of events: `data",
        ),
        ("evaluate.metrics=[diversity@5]", "'diversity@5' needs the categories of items: `data.items`"),
        (
            "evaluate.metrics=[staleness]",
            "'staleness@10' needs a half-life in days: `evaluate.half_life`, in days",
        ),
        ("evaluate.metrics=[embedding_diversity]", "which only the library can be given"),
        ("search.metric=graded_ndcg@10", "needs the weights or ratings of events: `data.columns.weight`"),
        ("search.metric=ndcg@0", "`k >= 1` must hold"),
        ("search.metric=nothing", "nothing"),
        ("registry={name: a, gate: {metric: coverage@5}}", "`registry.gate.metric` must be one metric"),
        ("registry={name: a, gate: {margin: -1}}", "greater than or equal to 0"),
        ("registry={name: a/b}", "`registry.name` must not hold any of"),
        ("registry={name: a:b}", "`registry.name` must not hold any of"),
        ('registry={name: "a\'b"}', "`registry.name` must not hold any of"),
        ("registry={name: ' a'}", "`registry.name` must not hold any of"),
        ("registry={name: ''}", "`registry.name`"),
        (
            "finetune={window_days: 5}",
            "`finetune` must have something to move, but the model has only (own, linear)",
        ),
        (SPACE % "{owm: {}}", "`search.space` must name terms of the model (own, linear), but got 'owm'"),
        (SPACE % "{linear: {l3: [1, 2]}}", "the term `linear` has no setting 'l3' to search"),
        (
            "search={scheduler: {kind: pbt}, space: {linear: {l2: [1, 2]}}}",
            "`linear.l2` cannot change; search",
        ),
        (SPACE % "{own: {kind: [own]}}", "the term `own` has no setting 'kind' to search"),
        (SPACE % "{linear: {l2: [500, -1]}}", "greater than 0"),
        (SPACE % "{linear: {l2: {low: 5, high: 2}}}", "`low < high` must hold, but got (low=5, high=2)."),
        (SPACE % "{linear: {l2: {low: 0, high: 2, log: true}}}", "`low` must be above 0"),
        (SPACE % "{own: {forgetting: {family: [renewed]}}}", "but got 'renewed'"),
        (SPACE % "{own: {forgetting: {half_life: {time: [9, 1]}, clock: [time]}}}", "`0 < low < high`"),
        (SPACE % "{own: {forgetting: {half_life: {time: [1, 9]}}}}", "a range for the clock 'moments'"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_starts(config: Path, change: str, message: str) -> None:
    assert message in refused(config, change)


def test_the_model_is_required(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("data: {events: e.csv}")
    assert "`model`: Field required" in refused(path)


def test_a_missing_file(tmp_path: Path) -> None:
    assert f"there is none at `{tmp_path / 'no.yaml'}`" in refused(tmp_path / "no.yaml")


def test_a_folder(tmp_path: Path) -> None:
    assert "is a folder" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"a: [1, 2", b"a: b: c", b"\xff\xfe\x00"])
def test_not_yaml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    assert "A configuration must be YAML" in refused(path)


@pytest.mark.parametrize("content", ["", "- a", "42"])
def test_not_a_mapping(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(content)
    assert "A configuration must be a mapping" in refused(path)


# The plans of the forgetting table lie beside the runs that they name, and are no runs; nor are cluster shapes.
SHIPPED = [path for path in (ROOT / "configs").glob("*.yaml") if not path.name.startswith("forgetting-table")]


@pytest.mark.parametrize("path", sorted(SHIPPED), ids=lambda path: path.name)
def test_what_is_shipped_loads_and_its_text_is_the_same_configuration(path: Path, tmp_path: Path) -> None:
    settings = load(path)
    again = tmp_path / "again.yaml"
    again.write_text(settings.text())
    assert load(again) == settings
    assert yaml.safe_load(settings.text())["split"]["protocol"] == settings.split.protocol


def test_the_text_has_every_default_filled_in(config: Path) -> None:
    tree: dict[str, Any] = yaml.safe_load(load(config).text())
    assert tree["train"]["workers"] == 0
    assert tree["model"]["terms"][1]["variant"] == "ease"
    assert tree["split"]["cuts"] == [0.8, 0.9]


def test_the_metric_that_decides(config: Path) -> None:
    assert load(config, ["evaluate.k=[7, 9]"]).metric == "ndcg@7"
    chosen = load(config, ["search={trials: 1, metric: mrr}"])
    assert (chosen.metric, chosen.gate_metric) == ("mrr", "mrr")
    gated = load(config, ["search={trials: 1, metric: mrr}", "registry={name: a, gate: {metric: recall@3}}"])
    assert (gated.metric, gated.gate_metric) == ("mrr", "recall@3")


def test_settings_are_frozen(config: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(config).seed = 3  # type: ignore[misc]


def test_the_key_names_of_the_documentation_are_there() -> None:
    assert set(RunSettings.model_fields) >= {
        "data", "split", "model", "evaluate", "search", "registry", "finetune", "train", "ab",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("event_type", "`scope: event_type` of the term 'own' needs `data.columns.event_type`"),
        ("category", "`scope: category` of the term 'own' needs `data.items`"),
    ],
)
def test_a_scope_needs_its_groups(config: Path, change: str, message: str) -> None:
    learned = ["model.terms.0.forgetting.learn=true", f"model.terms.0.forgetting.scope={change}"]
    assert message in refused(config, *learned)


@pytest.mark.parametrize(
    ("learn", "message"),
    [
        (
            "true",
            "`forgetting.scope` of `own` must be one of (all, event_type, category, user), but got 'head'",
        ),
        ("false", "`scope: head` needs a curve that is learned"),
    ],
)
def test_a_head_has_a_learned_curve_where_there_are_heads(config: Path, learn: str, message: str) -> None:
    term = f"{{kind: own, forgetting: {{family: exponential, half_life: 3, scope: head, learn: {learn}}}}}"
    assert message in refused(config, f"model.terms.0={term}")


def test_a_scope_is_taken_where_its_groups_are(config: Path) -> None:
    learned = "model.terms.0.forgetting.learn=true"
    scoped = [learned, "model.terms.0.forgetting.scope=event_type", "data.columns={event_type: kind}"]
    assert load(config, scoped).model.terms[0].forgetting.scope == "event_type"
    scoped = [learned, "model.terms.0.forgetting.scope=category", "data.items=items.csv"]
    assert load(config, scoped).model.terms[0].forgetting.scope == "category"


def test_rows_that_move_alone_are_not_sharded(config: Path) -> None:
    sparse = "training: {loss: {kind: sampled, sparse: true}}"
    change = f"model.terms.1={{kind: gru, {sparse}}}"
    said = "`loss.sparse` of `gru` needs `train.sharding: none`"
    assert load(config, [change]).train.sharding == "none"
    assert said in refused(config, change, "train.sharding=model")
    tuned = "finetune={loss: {kind: sampled, sparse: true}}"
    assert said in refused(config, "model.terms.1={kind: gru}", tuned, "train.sharding=optimiser")
