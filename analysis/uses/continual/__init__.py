"""Continual learning: classes arrive in steps, and what stays of the earlier ones is a small memory."""
