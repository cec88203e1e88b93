"""What is told of a run, as plain data, whoever shows it: its search, its model, its people, how interest fades."""
