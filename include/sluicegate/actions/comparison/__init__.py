"""What the order `compare` is made of: scores on one fresh holdout, effects with intervals, checks, verdict, report."""
