"""What a model would have earned as a policy, where the log says with which probability each item was shown."""
