"""Ray Tune searches the space: what is proposed, who tries it, what stops early, what is kept of it."""
