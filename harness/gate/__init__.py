"""May a candidate replace what is live? The rules, the decision with its figures, the segments that may not lose."""
