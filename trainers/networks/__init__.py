"""The torch modules of the neural terms. Each answers a batch of windows with a `Prediction`."""
