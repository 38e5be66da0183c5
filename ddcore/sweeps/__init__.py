"""Many runs at once: axes and their cells, the file that keeps them, and who computes them. No torch here."""
