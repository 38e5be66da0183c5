"""Augmentation and neighbours, pixel by pixel."""

from __future__ import annotations

import numpy as np


def colour(image, brightness, saturation, contrast):
    """DSA's colour changes of one image (C, H, W), in its order."""
    image = image + brightness
    grey = image.mean(0)
    image = grey + saturation * (image - grey)
    return image.mean() + contrast * (image - image.mean())


def moved(image, down, right):
    """Shifted by whole pixels, zeros coming in."""
    out = np.zeros_like(image)
    _, height, width = image.shape
    for y in range(height):
        for x in range(width):
            if 0 <= y - down < height and 0 <= x - right < width:
                out[:, y, x] = image[:, y - down, x - right]
    return out


def warped(image, matrix):
    """Each pixel from `matrix @ (y, x)` about the centre, between four pixels, zeros outside."""
    out = np.zeros_like(image)
    _, height, width = image.shape
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    for y in range(height):
        for x in range(width):
            v, u = matrix @ (np.array([y, x]) - middle) + middle
            for row in (int(np.floor(v)), int(np.floor(v)) + 1):
                for column in (int(np.floor(u)), int(np.floor(u)) + 1):
                    if 0 <= row < height and 0 <= column < width:
                        share = (1 - abs(v - row)) * (1 - abs(u - column))
                        out[:, y, x] += share * image[:, row, column]
    return out


def nearest(queries, real, k):
    """Rows of the k nearest real images (M, k) and their distances, one query after the other."""
    rows, apart = [], []
    for query in queries:
        distance = np.sqrt(((real - query) ** 2).reshape(len(real), -1).sum(1))
        order = np.argsort(distance, kind="stable")[:k]
        rows.append(order)
        apart.append(distance[order])
    return np.array(rows), np.array(apart)
