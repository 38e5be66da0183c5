"""Kernels of wide networks by finite ones: many random networks, and gradients of wide ones.

NTK parametrization: layer l is sqrt(w_var / fan_in) W x + sqrt(b_var) b, all of W and b standard normal,
ReLU in between (Jacot et al. 2018; KIP's constants are w_var 2, b_var 0.01).
"""

from __future__ import annotations

import numpy as np

W_VAR, B_VAR = 2.0, 0.01


def empirical(x, width, depth, seed):
    """NNGP by its last hidden layer and NTK by all gradients, (n, n) each, of one random network.

    The NTK is the sum over layers of gradient products: with signals h_l and backpropagated d_l it is
    sum_l (d_l.d_l') (w_var h_l.h_l' / fan_in + b_var).
    """
    draw = np.random.default_rng(seed)
    hidden, masks, weights = [x], [], []
    for _ in range(depth):
        fan_in = hidden[-1].shape[1]
        w, b = draw.standard_normal((fan_in, width)), draw.standard_normal(width)
        z = np.sqrt(W_VAR / fan_in) * hidden[-1] @ w + np.sqrt(B_VAR) * b
        weights.append(np.sqrt(W_VAR / fan_in) * w)
        masks.append(z > 0)
        hidden.append(np.maximum(z, 0))
    covariances = [W_VAR / h.shape[1] * h @ h.T + B_VAR for h in hidden]
    signal = np.repeat(draw.standard_normal((1, hidden[-1].shape[1])), len(x), 0)
    back = np.sqrt(W_VAR / hidden[-1].shape[1]) * signal
    ntk = covariances[-1].copy()
    for layer in reversed(range(depth)):
        back = back * masks[layer]
        ntk += (back @ back.T) * covariances[layer]
        back = back @ weights[layer].T
    return covariances[-1], ntk


def averaged(x, width, depth, nets):
    """Means and standard errors of both kernels over networks: (2, n, n) each."""
    found = np.array([empirical(x, width, depth, seed) for seed in range(nets)])
    return found.mean(0), found.std(0, ddof=1) / np.sqrt(nets)


def regression(k_ts, k_ss, labels, relative):
    """Predictions of kernel ridge regression with a ridge relative to the mean diagonal."""
    ridge = relative * np.trace(k_ss) / len(k_ss)
    return k_ts @ np.linalg.solve(k_ss + ridge * np.eye(len(k_ss)), labels)
