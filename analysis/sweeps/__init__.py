"""What is found in a sweep: its table, what was chosen, differences that are tested, and the command."""
