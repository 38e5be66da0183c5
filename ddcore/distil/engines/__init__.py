"""The mathematics that methods are wired from: unrolled meta-gradients and feature matching."""
