"""Condensed graphs: a few nodes that teach a network a whole graph, beside what costs nothing."""
