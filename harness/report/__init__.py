"""The report of a run: one self-contained HTML page, and its figures.

>>> page = render({"name": "shop", "verdict": {"promoted": False}}, config_text="split: {}")
>>> "Not promoted" in page
True

`summary` holds plain JSON types. Any key may be missing or null: the page leaves that part out, or says so.
An *estimate* is ``{"mean", "low", "high"}``, a *difference* ``{"difference", "low", "high", "p"}``.

- `name`, `created` (ISO 8601), `seconds`, `config_path`, `protocol` (`successive`, `rolling`, `loo`), `cuts` [2],
  `horizon` (null: the moment itself), `repeats`, `metric` (the one that decides, as in ``ndcg@10``), `intervals`
  {`level`, `method`}, `fingerprint`, `versions` {package: version}, `run_id`, `reproduce` [command lines]
- `data`: `events`, `users`, `items`, `rejected`, `reasons` {reason: rows}, `profile`: what
  `harness.data.summary.summarise` returns (read: `span`, `histogram`, `gap_days`, `repeat_share`,
  `baskets`, `events_per_user`, `popularity`)
- `search`: `trials`, `control_trials`, `failed`, `stopped`, `scheduler`, `warm_start` {`from`, `known`, `skipped`},
  `epochs` (null: not counted), `schedule`: null or what `harness.story.schedules.schedule_story` returns,
  `failures` [{`trial`, `error`}], `best` {`trial`,
  `value`, `params`}, `history` [{`trial`, `value` (null: failed or stopped), `stopped` {`at`,
  `value`}, `family`, `control`, `params`, `rounds`
  (of a population: the value after each round)}], `importance`
  {parameter: share}, `importance_note`, `families_of` (the terms whose curve
  they are), `families` [{`family`, `clock`, `half_life`, `unit`, `trials`,
  `value`, `difference`, `low`, `high`}] (the best first; on both clocks
  `moments` {`half_life`} too), `sure` {`runner_up` | `none`: a difference with `trial`}
- `terms` [{`name`, `kind`, `weight`, `settings`, `forgetting`: null or {`family`, `clock`, `params`,
  `half_life`, `unit` (`days`, `moments`), `curve` [[age, retention], ...], `parts`: only where heads, states
  or clocks have curves of their own, [{`name`, `clock`, `params`, `half_life`, `unit`, `curve`}]}}]
- `fading`: what `harness.story.fading.fading` returns
- `training` [{`term`, `stage` (`pretrain`, `finetune`), `loss` [epochs], `validation` [epochs],
  `best_epoch` (from 1)}]; `finetune`: null or a difference with `kept`, `reason`
- `evaluation`: `protocol`, `stage`, `queries`, `users`, `catalogue`, `metrics` {metric: estimate},
  `segments` {`recency` | `history` | `cold` | `adaptation` | `novelty` | `popularity` | `category`:
  {bucket: {`queries`, `users`, `metrics`}}}, `audit`
  (`leaks`, `verdict`, `findings` and `notices` [{`name`, `count`, `sentence`}], counts and shares),
  `rolling` (only of that protocol): what `harness.steps.rolling.rolled` returns
- `models` {`candidate` | `none` | `trend` | `champion`: {metric: estimate}}; `comparisons` [{`against`,
  metric: difference}], where `against` is a key of `models`, with a version after it or not (``champion
  v3``)
- `calibration`: what `harness.steps.calibration.calibration` returns; `examples`: what
  `harness.story.people.examples` returns
- `ab`: what `evaluators.ab.Experiment.to_dict` returns, or `sentence`: why there is none; also, if given, `names`
  (the models of arms A and B) and `outcome` (what is compared)
- `model`: `name`, `version`, `aliases`; `verdict`: `promoted`, `sentence`, `reasons`
"""

from harness.report.figures import figures
from harness.report.page import render, write

__all__ = ["figures", "render", "write"]
