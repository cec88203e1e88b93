"""Commands of their own beside a run: judging configurations and versions, and laying them side by side."""
