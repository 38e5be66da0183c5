"""Condensing graphs: data, methods, sets and accuracies of their own kind on the same store, jobs and loop.

Nodes of one graph depend on each other, so nothing here is a `DatasetTask`, a `DistilledSet` or an
`AccuracyTask`; what is shared is `base`, `tasks` and the loop of `distil`.
"""
