"""Scores of untrained networks, one file per strategy or small family."""
