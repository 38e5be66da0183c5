"""What is computed about distilled sets: each analysis is a file with a `TaskSpec` and its function.

Imports ddcore, never streamlit; pages import the specs and readers of these files, workers the rest.
"""
