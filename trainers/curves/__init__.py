"""Forgetting curves fitted to what a log records by likelihood, apart from any model that ranks."""
