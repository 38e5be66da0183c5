"""Methods that condense graphs: one file each, found by its `GRAPH_METHOD`."""
