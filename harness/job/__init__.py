"""The main job: all steps of a run in a row, and what it leaves for people to read."""
