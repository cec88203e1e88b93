import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from harness.data import DataSettings, prepare, summarise, summary

Make = Callable[..., DataSettings]
Write = Callable[..., str]


def test_a_small_log_by_hand(log: Write, settings: Make) -> None:
    day, monday = 86_400, 1_293_753_600 + 3 * 86_400  # 2011-01-03
    rows = [
        f"u,a,{monday},1",
        f"u,b,{monday},1",
        f"u,b,{monday},2",  # the same moment: no repeat
        f"u,a,{monday + day},1",  # a repeat
        f"u,a,{monday + day},2",  # one more
        f"u,b,{monday + 15 * day},1",  # a repeat
        f"v,a,{monday - 1},1",  # a Sunday
    ]
    found = summarise(prepare(settings(log(rows))))
    assert json.loads(json.dumps(found)) == found
    assert found["span"] == {
        "first": "2011-01-02T23:59:59Z",
        "last": "2011-01-18T00:00:00Z",
        "days": 15 + 1 / day,
    }
    assert found["histogram"] == {
        "period": "week",
        "start": ["2010-12-27", "2011-01-03", "2011-01-10", "2011-01-17"],
        "events": [1, 5, 0, 1],
    }
    assert found["repeat_share"] == pytest.approx(3 / 7)
    assert found["gap_days"]["p50"] == (1 + 14) / 2
    assert found["baskets"]["moments"] == 4
    assert found["baskets"]["mean"] == 7 / 4
    assert found["baskets"]["histogram"]["moments"][:4] == [2, 1, 1, 0]
    assert found["events_per_user"]["mean"] == 3.5
    assert found["popularity"] == {"gini": pytest.approx(1 / 14), "top_1_percent_share": pytest.approx(4 / 7)}
    assert found["counts"]["events"] == 7


def test_one_event_and_a_long_span(log: Write, settings: Make) -> None:
    assert summarise(prepare(settings(log(["u,1,1000000000,1"]))))["gap_days"] is None
    found = summarise(prepare(settings(log(["u,1,2001-01-31,1", "u,1,2011-03-01,1"]))))["histogram"]
    assert (found["period"], found["start"][0], found["start"][-1]) == ("month", "2001-01-01", "2011-03-01")
    assert (len(found["start"]), sum(found["events"])) == (123, 2)


@pytest.mark.parametrize("chunk", [1, 100, 10**6])
def test_against_pandas(chunk: int, log: Write, settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "_CHUNK", chunk)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "user_id": rng.integers(0, 30, 3000),
            "item_id": rng.integers(0, 40, 3000),
            "t": rng.integers(0, 90, 3000),
        }
    )
    rows = [f"{u},{i},{10**9 + t},1" for u, i, t in frame.to_numpy()]
    found = summarise(prepare(settings(log(rows))))
    repeated = frame.t > frame.groupby(["user_id", "item_id"]).t.transform("min")
    assert found["repeat_share"] == pytest.approx(repeated.mean())
    moments = frame.drop_duplicates(["user_id", "t"]).sort_values(["user_id", "t"])
    gaps = moments.groupby("user_id").t.diff().dropna() / 86_400
    assert found["gap_days"]["p90"] == pytest.approx(gaps.quantile(0.9))
    sizes = frame.groupby(["user_id", "t"]).size()
    assert found["baskets"]["mean"] == pytest.approx(sizes.mean())
    assert found["baskets"]["p99"] == pytest.approx(sizes.quantile(0.99))
