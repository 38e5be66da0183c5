"""A set is judged: accuracies, baselines, other uses."""
