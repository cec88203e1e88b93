"""The simulated A/B test of the main job."""
