"""The training of neural terms, the same on one worker and on many: the loop, losses, optimisers, checkpoints."""
