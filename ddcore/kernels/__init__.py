"""Kernel ridge regression: fixed feature maps, streamed closed-form solutions, kernels of wide networks.

Samples are rows everywhere: images (B, d), features (B, p), targets (B, k). A model is a matrix of
weights (k, p) without intercept, f(x) = weights phi(x). Everything is computed in float64.
"""
