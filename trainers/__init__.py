"""Models that forget: forgetting functions, encoders, their fits on Ray Train and their search on Ray Tune.

This package works on packed event logs (`trainers.log`) and returns models (`trainers.model`). It knows neither the
harness that drives it nor the evaluators that judge it.

Its rooms: `forgetting` has the families of curves, `curves` fits them to a log by likelihood; `encoders` are the terms
of a model, `networks` what the neural ones are made of, `training` their loop on one worker or many; `fitting` is
pretraining and fine-tuning on Ray Train, `search` the trials on Ray Tune, `serving` live states; `storage` has files
that are whole or not there.
"""
