"""How much of what varies each part of a sum of Gaussian processes explains, and how much is noise. N rows, G parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_factor, cho_solve

__all__ = ["variance_components"]

STEPS = 40
LEAST = 1e-7  # a variance, where targets have variance 1


def variance_components(grams: Sequence[np.ndarray], targets: np.ndarray) -> np.ndarray:
    """float64 (G,): variances v of the greatest likelihood under targets ~ N(0, Σ v_g K_g).

    `grams` K_g are float64 (N, N), positive semi-definite; noise is a part like any other, with the identity. Targets,
    float64 (N,), have mean 0 and variance about 1. Steps are those of Zhou, Hu, Zhou and Lange (2019, "MM algorithms
    for variance components models", eq. 2.6), each of which raises the likelihood: v_g ← v_g √(αᵀ K_g α / tr(K⁻¹ K_g)).
    """
    identity = np.eye(len(targets))
    sizes = np.array([np.trace(gram) / len(targets) for gram in grams])
    present = np.flatnonzero(sizes > 0).tolist()
    variances = np.zeros(len(grams))
    variances[present] = 1 / (len(present) * sizes[present])
    for _ in range(STEPS):
        whole = sum(variances[g] * grams[g] for g in present) + LEAST * identity
        inverse = cho_solve(cho_factor(whole, lower=True, check_finite=False), identity, check_finite=False)
        weights = inverse @ targets
        for g in present:
            explained, expected = weights @ grams[g] @ weights, np.vdot(inverse, grams[g])
            variances[g] = max(variances[g] * np.sqrt(explained / expected), LEAST / sizes[g])
    return variances
