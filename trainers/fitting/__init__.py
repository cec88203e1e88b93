"""Fits of terms on Ray Train: pretraining and fine-tuning, what is asked of the workers, what is kept on disk."""
