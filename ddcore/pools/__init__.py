"""Networks trained on real data, as tasks that many others share."""
