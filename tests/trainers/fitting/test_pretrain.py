"""Fits on Ray Train: the same result on any number of workers, and after an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray.train

from tests.trainers import helpers
from tests.trainers.neural import NEURAL, OWN, SMALL
from trainers.encoders import ClosedForm, Neural
from trainers.encoders.mlp import MlpSettings
from trainers.fitting.finetune import FinetuneSettings, neural_terms
from trainers.fitting.fits import Fits, fit_model, fit_term
from trainers.fitting.handed import PROGRESS_FILE, watch
from trainers.fitting.pretrain import Resources, fit, recent
from trainers.fitting.request import Fit
from trainers.log import DAY, PackedLog, TrainingData
from trainers.model import ModelSettings
from trainers.training.computing import ComputeSettings
from trainers.training.loop import optimise

DAYS = {"family": "exponential", "half_life": 3}
RECENT = {"family": "exponential", "clock": "moments", "half_life": 0.4}
MLP: dict[str, Any] = {
    "kind": "mlp",
    "dim": 8,
    "hidden": 12,
    "dropout": 0.0,
    "forgetting": RECENT,
    # 175 moments: the last batch holds one, less than two workers can share.
    "training": {"rate": 0.02, "batch": 29, "epochs": 3, "forgetting": DAYS},
}
HEADS = {"family": "power", "tau": 2.0, "exponent": 1.0, "learn": True, "scope": "head"}
NETWORKS: list[dict[str, Any]] = [
    MLP,
    {
        "kind": "recurrent",
        "dim": 8,
        "hidden": 12,
        "dropout": 0.0,
        "own": OWN,
        # Not `adamw`, which does not feel how long a gradient is.
        "training": {**MLP["training"], "optimiser": "sgd", "rate": 0.05, "schedule": "linear", "warmup": 3},
    },
    {
        "kind": "transformer",
        "dim": 8,
        "dropout": 0.0,
        "forgetting": HEADS,
        "training": {**MLP["training"], "loss": {"kind": "sampled", "negatives": 3}, "average": 0.5},
    },
]
"""Without dropout, whose draws are each worker's own."""
MODEL = ModelSettings.model_validate(
    {
        "terms": [
            {"kind": "trend", "forgetting": DAYS},
            {"kind": "own", "forgetting": DAYS},
            {"kind": "linear", "l2": 2.0, "forgetting": DAYS},
            {"kind": "linear", "name": "next", "variant": "next", "l2": 2.0, "forgetting": RECENT},
            *NETWORKS,
        ]
    }
)
TRAINED = neural_terms(MODEL)
TUNING = FinetuneSettings.model_validate({"window_days": 3, "rate": 0.01, "epochs": 2, "batch": 20})
ITEMS = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    folder = tmp_path_factory.mktemp("pretrain")
    helpers.write_log(helpers.cycle(users=25), folder / "log")
    data = helpers.training(PackedLog.open(folder / "log", ITEMS), 8, validate=True)
    data.save(folder / "data")
    assert len(data.moments()) % 29 == 1
    return data


@pytest.fixture(scope="module")
def stored(data: TrainingData) -> Path:
    """The folder with `log` and `data`."""
    return Path(str(data.log.items.filename)).parent.parent  # type: ignore[attr-defined]


def requests(stored: Path, out: Path, *terms: dict[str, Any]) -> list[Fit]:
    """The terms pretrained, and the network then taken further."""
    model = ModelSettings.model_validate({"terms": terms}) if terms else MODEL
    first = Fit(
        log=str(stored / "log"),
        vocabulary=ITEMS,
        data=str(stored / "data"),
        out=str(out / "pretrained"),
        terms=[term.model_dump(mode="json") for term in model.terms],
        repeats=True,
        seed=4,
    )
    return [first, first.finetuned(TUNING, str(out / "finetuned"), neural_terms(model), {})]


def network(**changes: Any) -> dict[str, Any]:
    return {**MLP, **changes, "training": {**MLP["training"], **changes.get("training", {})}}


BROKEN = network(training={"optimiser": "sgd", "rate": 1e30})
TOO_FAST = (
    r"`mlp`: the training loss is nan and its gradient nan in epoch 1, batch \d of \d, .*; lower `rate`"
)


@pytest.fixture(scope="module")
def local(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Fits]:
    """In this process, without a cluster."""
    return fit(requests(stored, tmp_path_factory.mktemp("local")), Resources(workers=0))


@pytest.fixture(scope="module")
def one_worker(stored: Path, tmp_path_factory: pytest.TempPathFactory, ray_session: str) -> list[Fits]:
    """One launch, which takes half a minute, for three requests; the last one fails, after the others are done."""
    folder = tmp_path_factory.mktemp("one-worker")
    [broken, _] = requests(stored, folder / "broken", BROKEN)
    good = requests(stored, folder)
    with pytest.raises(RuntimeError, match=f"the fit on 1 workers failed: {TOO_FAST}"):
        fit([*good, broken], Resources(workers=1))
    assert not Fits(Path(broken.out)).whole
    assert [Path(request.out).exists() for request in good] == [True, True]
    return fit(good, Resources(workers=1))


@pytest.fixture(scope="module")
def two_workers(stored: Path, tmp_path_factory: pytest.TempPathFactory, ray_session: str) -> list[Fits]:
    return fit(requests(stored, tmp_path_factory.mktemp("two-workers")), Resources(workers=2))


def same_fits(one: list[Fits], other: list[Fits], data: TrainingData) -> None:
    """Closed forms to rounding, the curves within 1e-4, the scores close."""
    for a, b in zip(one, other, strict=True):
        assert [term for term, _ in a.entries()] == [term for term, _ in b.entries()]
    for term in MODEL.terms[:4]:
        sums, others = one[0].statistics(term), other[0].statistics(term)
        assert sums is not None
        assert others is not None
        assert sums.keys() == others.keys()
        for name, array in sums.items():
            if term.label == "linear":
                assert np.array_equal(array, others[name])
            np.testing.assert_allclose(others[name], array, rtol=1e-5, atol=1e-6)
            assert others[name].dtype == array.dtype
    for a, b, term in ((a, b, term) for a, b in zip(one, other, strict=True) for term in MODEL.terms[4:]):
        curve, expected = b.curve(term), a.curve(term)
        assert curve is not None
        assert expected is not None
        assert curve.start == pytest.approx(expected.start, rel=1e-4)
        assert curve.loss == pytest.approx(expected.loss, rel=1e-4)
        assert curve.validation == pytest.approx(expected.validation, rel=1e-4)
        assert curve.best_epoch == expected.best_epoch
        state, other_state = a.state(term), b.state(term)
        assert state is not None
        assert other_state is not None
        for name, array in state.items():
            if name.endswith("read.bias"):  # a shift of all keys changes nothing: rounding alone moves it
                continue
            np.testing.assert_allclose(other_state[name], array, rtol=1e-2, atol=1e-4, err_msg=name)
    assert data.validation is not None
    histories = helpers.histories_of(data, data.validation)
    scores, other_scores = (
        fit_model(MODEL, data, fits[0], repeats=True, seed=4).score(histories) for fits in (one, other)
    )
    np.testing.assert_allclose(other_scores, scores, atol=1e-3)


def test_a_local_fit_is_the_fit_of_this_process(local: list[Fits], data: TrainingData) -> None:
    assert data.validation is not None
    histories = helpers.histories_of(data, data.validation)
    closed = ModelSettings(terms=MODEL.terms[:4])
    assert np.array_equal(
        fit_model(closed, data, local[0], repeats=True).score(histories),
        fit_model(closed, data, repeats=True).score(histories),
    )
    curve = local[0].curve(MODEL.terms[4])
    assert curve is not None
    assert curve.start is not None
    assert len(curve.loss) == 3
    assert curve.start > curve.validation[0] > curve.validation[1] > curve.validation[2]


def test_fine_tuning_goes_on_where_pretraining_ended(local: list[Fits]) -> None:
    pretrained, finetuned = (fits.curve(MODEL.terms[4]) for fits in local)
    assert pretrained is not None
    assert finetuned is not None
    assert finetuned.start == pytest.approx(pretrained.validation[-1], rel=1e-6)
    assert len(finetuned.loss) == 2
    assert finetuned.validation[-1] < pretrained.validation[-1]
    assert [term.label for term, _ in local[1].entries()] == [term["kind"] for term in NETWORKS]


@pytest.mark.parametrize("kind", NEURAL)
def test_fine_tuning_starts_from_any_network(
    kind: str, stored: Path, data: TrainingData, tmp_path: Path
) -> None:
    """From its parameters and what was counted before training, on the last three days."""
    values = {"kind": kind, "dim": 8, **SMALL[kind], "own": OWN, "training": MLP["training"]}
    both = requests(stored, tmp_path, values)
    [pretrained, tuned] = fit(both)
    [term] = ModelSettings.model_validate({"terms": [values]}).terms
    before, after = pretrained.curve(term), tuned.curve(term)
    assert before is not None
    assert after is not None
    assert after.start is not None
    assert after.start == pytest.approx(before.validation[before.best_epoch - 1], rel=1e-6)
    assert len(after.loss) == TUNING.epochs
    assert min(after.validation) < after.start
    states = pretrained.state(term), tuned.state(term)
    assert states[0] is not None
    assert states[1] is not None
    assert np.array_equal(states[0]["own.log_interval"], states[1]["own.log_interval"])
    assert states[0]["own.log_interval"].any()
    assert data.validation is not None
    histories = helpers.histories_of(data, data.validation)
    scores = [fit_term(term, data, fits, repeats=True).score(histories) for fits in (pretrained, tuned)]
    assert not np.allclose(scores[0], scores[1], atol=1e-3)
    # In this process, step for step what the fit did.
    again = fit_term(term, data, pretrained, repeats=True)
    assert isinstance(again, Neural)
    moments = recent(data.moments(), data.end - TUNING.window_days * DAY)
    curve = optimise(again, data, moments, TUNING, repeats=True, seed=4)
    assert curve.loss == pytest.approx(after.loss, rel=1e-6)
    np.testing.assert_allclose(again.score(histories), scores[1], rtol=1e-4, atol=1e-5)


def test_one_worker_fits_the_same_as_this_process(
    local: list[Fits], one_worker: list[Fits], data: TrainingData
) -> None:
    same_fits(local, one_worker, data)


def test_two_workers_fit_the_same_as_this_process(
    local: list[Fits], two_workers: list[Fits], data: TrainingData
) -> None:
    same_fits(local, two_workers, data)


@pytest.mark.slow
def test_a_range_of_workers_takes_what_there_is_room_for(
    local: list[Fits], stored: Path, data: TrainingData, tmp_path: Path, ray_session: str
) -> None:
    """Four do not fit into two CPUs; the fit does not wait for them, and is the same fit."""
    same_fits(local, fit(requests(stored, tmp_path), Resources(workers=(1, 4))), data)


COMPUTE = ComputeSettings.model_validate({"precision": "bf16", "accumulate": 3, "timeout": 77})


@pytest.mark.parametrize(("workers", "said"), [(2, "on 2 workers"), ((2, 8), "on 2 to 8 workers")])
def test_what_a_fit_may_use_reaches_ray_train(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int | tuple[int, int], said: str
) -> None:
    asked: dict[str, Any] = {}

    class Trainer:
        def __init__(self, loop: Any, **options: Any) -> None:
            asked.update(options)

        def fit(self) -> None:
            raise ray.train.TrainingFailedError("all are gone")

    monkeypatch.setattr("trainers.fitting.pretrain.TorchTrainer", Trainer)
    with pytest.raises(RuntimeError, match=f"the fit {said} failed: all are gone"):
        fit(requests(stored, tmp_path), Resources(workers, gpu=True, max_failures=5, compute=COMPUTE))
    scaling = asked["scaling_config"]
    assert (scaling.num_workers, scaling.use_gpu) == (workers, True)
    assert asked["run_config"].failure_config.max_failures == 5
    assert asked["torch_config"].timeout_s == 77
    assert ComputeSettings.model_validate(asked["train_loop_config"]["compute"]) == COMPUTE


def test_what_is_done_is_not_done_again(
    local: list[Fits], stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(*anything: Any) -> None:
        raise AssertionError("nothing is left to do")

    monkeypatch.setattr("trainers.fitting.pretrain._launch", launch)
    before = [(file, file.stat().st_mtime_ns) for fits in local for file in sorted(fits.folder.iterdir())]
    again = fit(requests(stored, local[0].folder.parent), Resources(workers=0))
    assert again == local
    assert before == [
        (file, file.stat().st_mtime_ns) for fits in local for file in sorted(fits.folder.iterdir())
    ]


def test_only_what_is_missing_is_done(local: list[Fits], stored: Path, tmp_path: Path) -> None:
    """The pretrained folder is there: a fine-tuning with another window starts from it."""
    [_, second] = requests(stored, local[0].folder.parent)
    other = replace(second, window_days=1.5, out=str(tmp_path / "other"))
    [tuned] = fit([other])
    curve, before = tuned.curve(MODEL.terms[4]), local[1].curve(MODEL.terms[4])
    assert curve is not None
    assert before is not None
    assert curve.start == before.start
    assert curve.loss != before.loss


def test_a_fit_leaves_nothing_half_done_behind(local: list[Fits]) -> None:
    for fits in local:
        assert PROGRESS_FILE not in [file.name for file in fits.folder.iterdir()]
        assert not fits.folder.with_name(f"{fits.folder.name}.partial").exists()


def test_the_seed_and_the_epochs_of_a_fit_are_felt(stored: Path, tmp_path: Path) -> None:
    [first, _] = requests(stored, tmp_path, network())
    variants = {
        "base": first,
        "seed": replace(first, seed=5),
        "refit": replace(first, epochs={"mlp": 2}),
        "settings": replace(first, optimise={"mlp": {"rate": 0.001, "epochs": 1}}),
        "films": replace(first, repeats=False),
    }
    done = fit([replace(variant, out=str(tmp_path / name)) for name, variant in variants.items()])
    curves = {}
    for name, fits in zip(variants, done, strict=True):
        curve = fits.curve(MODEL.terms[4])
        assert curve is not None
        curves[name] = curve
    assert curves["seed"].loss != curves["base"].loss
    assert curves["refit"].loss == pytest.approx(curves["base"].loss[:2])
    assert curves["refit"].validation == []
    assert curves["refit"].best_epoch == 2
    assert len(curves["settings"].loss) == 1
    assert curves["settings"].loss != curves["base"].loss[:1]
    assert curves["films"].loss != curves["base"].loss


def test_a_fit_is_named_by_all_that_it_depends_on(stored: Path, tmp_path: Path) -> None:
    [first, second] = requests(stored, tmp_path)
    changes: dict[str, Any] = {
        "log": "x",
        "vocabulary": 7,
        "data": "x",
        "out": "x",
        "terms": [MLP],
        "repeats": False,
        "seed": 9,
        "epochs": {"mlp": 3},
        "start": "x",
        "window_days": 2.0,
        "passes": 2.0,
        "optimise": {"mlp": {}},
        "through": "s3://bucket/x",
    }
    assert changes.keys() == asdict(first).keys(), "give each field of `Fit` a change"
    names = [replace(first, **{name: value}).name() for name, value in changes.items()]
    assert len({first.name(), second.name(), *names}) == len(names) + 2
    assert requests(stored, tmp_path)[0].name() == first.name()


def test_fine_tuning_takes_its_own_settings(stored: Path, tmp_path: Path) -> None:
    [first, _] = requests(stored, tmp_path)
    tuned = first.finetuned(TUNING, "there", neural_terms(MODEL), {"mlp": 3})
    assert (tuned.start, tuned.out, tuned.window_days, tuned.epochs) == (first.out, "there", 3.0, {"mlp": 3})
    assert [term["kind"] for term in tuned.terms] == [term["kind"] for term in NETWORKS]
    assert tuned.optimise["mlp"]["rate"] == 0.01
    assert "window_days" not in tuned.optimise["mlp"]
    assert (tuned.log, tuned.data, tuned.seed, tuned.repeats) == (first.log, first.data, 4, True)


def test_networks_are_fine_tuned_and_closed_forms_with_sums_where_asked() -> None:
    assert list(MODEL.terms[4:]) == TRAINED
    assert isinstance(MODEL.terms[4], MlpSettings)
    assert neural_terms(ModelSettings(terms=MODEL.terms[:4])) == []
    assert [term for term in MODEL.terms if TUNING.moves(term)] == TRAINED
    more = TUNING.model_copy(update={"passes": 0.5})
    assert [term.label for term in MODEL.terms[:4] if more.moves(term)] == ["trend", "linear", "next"]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_closed_form_counts_the_window_again(
    data: TrainingData, stored: Path, tmp_path: Path, workers: int, request: pytest.FixtureRequest
) -> None:
    """Its sums are those of everything, and 1.5 times those of the last three days; a term that a search has changed
    since takes the sums of everything itself."""
    if workers:
        request.getfixturevalue("ray_session")
    [first, _] = requests(stored, tmp_path, *(term.model_dump(mode="json") for term in MODEL.terms[:4]))
    trend, _, linear, following = MODEL.terms[:4]
    changed = [trend.model_copy(update={"forgetting": following.forgetting}), linear, following]
    settings = TUNING.model_copy(update={"passes": 1.5})
    tuning = first.finetuned(settings, str(tmp_path / "tuned"), changed, {})
    _, tuned = fit([first, tuning], Resources(workers))
    late = replace(data, since=data.end - 3 * DAY)
    for term in changed:
        sums = tuned.statistics(term)
        assert sums is not None
        encoder = fit_term(term, data, repeats=True)
        assert isinstance(encoder, ClosedForm)
        for name, array in sums.items():
            everything, window = (
                encoder.statistics(each, slice(0, data.log.users))[name] for each in (data, late)
            )
            np.testing.assert_allclose(array, everything + 1.5 * window, rtol=1e-6)
            assert window.sum() > 0
        assert tuned.serves(term)
        assert not tuned.serves(MODEL.terms[1])


def test_fine_tuning_keeps_the_learned_curve_of_a_closed_form(stored: Path, tmp_path: Path) -> None:
    learned = {"kind": "trend", "forgetting": {**DAYS, "learn": True}}
    [first, _] = requests(stored, tmp_path, learned)
    [term] = ModelSettings.model_validate({"terms": [learned]}).terms
    settings = TUNING.model_copy(update={"passes": 3.0, "window_days": 1.0})
    before, after = fit([first, first.finetuned(settings, str(tmp_path / "tuned"), [term], {})])
    pretrained, tuned = (each.statistics(term) for each in (before, after))
    assert pretrained is not None
    assert tuned is not None
    assert tuned["forgetting.half_life"].tolist() == pretrained["forgetting.half_life"].tolist() != [3.0]
    assert (tuned["popularity"] >= pretrained["popularity"]).all()
    assert (tuned["popularity"] > pretrained["popularity"]).any()


def test_the_window_holds_its_first_moment(data: TrainingData) -> None:
    moments = recent(data.moments(), data.end - 2 * DAY)
    assert sorted(set((moments.time / DAY).tolist())) == [5, 6, 7]
    with pytest.raises(ValueError, match=r"raise `finetune\.window_days`"):
        recent(moments, data.end + 1)


def test_a_start_that_fits_not_is_refused(local: list[Fits], stored: Path, tmp_path: Path) -> None:
    [first, _] = requests(stored, tmp_path, network(dim=9))
    with pytest.raises(RuntimeError, match="holds no term fitted with the same settings to start from"):
        fit([replace(first, start=str(local[0].folder))])
    assert not Path(first.out).exists()


def test_the_error_in_this_process_is_the_error_of_the_fit(stored: Path, tmp_path: Path) -> None:
    [first, _] = requests(stored, tmp_path, BROKEN)
    with pytest.raises(RuntimeError, match=f"the fit failed: {TOO_FAST}"):
        fit([first])
    assert not Path(first.out).exists()


def test_an_interrupt_is_no_success(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as Ray does while a fit runs
        sys.exit(0)  # as Ray answers an interrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("trainers.fitting.pretrain.TorchTrainer.fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(requests(stored, tmp_path / "interrupted"))
    assert signal.getsignal(signal.SIGINT) is before


def test_watch_passes_on_the_latest_progress(stored: Path, tmp_path: Path) -> None:
    both = requests(stored, tmp_path)
    said: list[dict[str, Any]] = []
    watch(both, said.append)
    assert said == []
    partial = tmp_path / "finetuned.partial"
    partial.mkdir()
    (partial / PROGRESS_FILE).write_text('{"term": "ml')
    watch(both, said.append)
    assert said == []
    (partial / PROGRESS_FILE).write_text(json.dumps({"term": "mlp", "epoch": 3}))
    watch(both, said.append)
    assert said == [{"term": "mlp", "epoch": 3}]


LONG = network(training={"epochs": 40, "patience": 40, "rate": 0.001})

INTERRUPTED = """
import json, sys
from trainers import cluster
from trainers.fitting.pretrain import Resources, fit
from trainers.fitting.request import Fit
cluster.connect()
fit([Fit(**json.loads(sys.argv[1]))], Resources(workers=1))
"""


class Watching:
    """Notes every epoch that the progress file of a fit names."""

    def __init__(self, request: Fit) -> None:
        self.request = request
        self.epochs: list[int] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.over.wait(0.01):
            watch([self.request], lambda progress: self.epochs.append(progress["epoch"]))

    def __enter__(self) -> Watching:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()


@pytest.mark.slow
def test_a_fit_that_was_killed_goes_on_where_it_was(
    stored: Path, data: TrainingData, tmp_path: Path, ray_session: str
) -> None:
    [request, _] = requests(stored, tmp_path, LONG)
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", INTERRUPTED, json.dumps(asdict(request))]
    process = subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    reached: list[int] = []
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and process.poll() is None and max(reached, default=0) < 6:
            watch([request], lambda progress: reached.append(progress["epoch"]))
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert 6 <= max(reached) < 40
    assert not Path(request.out).exists()

    (tmp_path / "pretrained.partial" / PROGRESS_FILE).unlink()
    with Watching(request) as watching:
        [fits] = fit([request], Resources(workers=1))
    assert min(watching.epochs) >= 5  # the last checkpoint may be an epoch or so behind the progress file
    [whole] = fit([replace(request, out=str(tmp_path / "whole"))], Resources(workers=0))
    term = fits.entries()[0][0]
    curve, expected = fits.curve(term), whole.curve(term)
    assert curve is not None
    assert expected is not None
    assert curve.loss == pytest.approx(expected.loss, rel=1e-4)
    assert curve.validation == pytest.approx(expected.validation, rel=1e-4)
    assert curve.best_epoch == expected.best_epoch
