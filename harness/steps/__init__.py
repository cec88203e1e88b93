"""The steps of a run, each found where it is done: fits, searches, choices on validation, the test."""
