"""Models that are fitted on tens of architectures, and aggregation by rank."""
