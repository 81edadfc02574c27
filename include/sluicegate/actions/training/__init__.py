"""What the order `train` is made of besides the holdout: features row by row, and the check of the exported model."""
