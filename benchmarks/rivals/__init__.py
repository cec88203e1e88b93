"""Published recommenders that weigh events by time, measured on the queries that Lethe answers.

Run: `python -m benchmarks.rivals configs/online-retail.yaml`. Closed forms are written here from their papers; library
models (RecTools, RecBole) train in environments of their own, `make rivals`.
"""
