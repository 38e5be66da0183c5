"""A set is made: methods and parametrizations, and the loop that drives them."""
