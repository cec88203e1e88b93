"""The forgetting table: every family × clock × term, searched with the same effort on every data set."""
