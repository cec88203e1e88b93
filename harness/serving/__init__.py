"""A model as it is served: packed for the registry, asked by MLflow, or kept as live states that take in events."""
