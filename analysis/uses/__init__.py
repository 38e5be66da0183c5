"""What distilled sets are for: tasks made of other tasks, whose tables tell whether they serve."""
