"""Scores of the first epochs of a training."""
