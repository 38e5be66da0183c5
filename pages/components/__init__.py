"""What pages share. Importing anything here is cheap: no torch, plotly or pandas at module level."""
