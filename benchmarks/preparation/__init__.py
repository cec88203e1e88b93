"""What preparing a large log takes: memory, events a second, going on after a kill, appending."""
