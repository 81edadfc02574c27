"""What training and comparison share: labelled rows, the temporal split, measures of scores, pictures."""
