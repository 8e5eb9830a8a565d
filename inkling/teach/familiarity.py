"""Tells pictures of none of the labels from those that a classifier was taught, without having seen any.

Familiarity is the sum of two scores, each standardized by its values for held-out examples. The first is the share of a
picture's features, squared, that lies in the subspace of the examples' features; directions in which the examples vary
little count less. This is 1 minus the variance of a Gaussian process with a linear kernel (Rasmussen and Williams 2006,
equation 2.26), and close to the residual of ViM (Wang et al. 2022, https://arxiv.org/abs/2203.10807). The second is the
largest logit (Hendrycks et al. 2022, https://arxiv.org/abs/1911.11132). On training draws of 20 examples each, their
sum told strangers better than either, than the similarity to the nearest 1, 3, 5 or 10 examples, than the energy of the
logits, and than (relative) Mahalanobis distances to the classes.
"""

from typing import NamedTuple

import numpy as np

NOISE = 0.1  # an example's squared length is 1; directions with less variance than this count less than half
MOST = 512  # examples that span the subspace
KNOWN = 0.95  # share of the held-out examples that are familiar


class Scale(NamedTuple):
    """Standardizes both scores: their means and standard deviations over held-out examples."""

    share_mean: float
    share_spread: float
    logit_mean: float
    logit_spread: float

    @classmethod
    def of(cls, shares: np.ndarray, logits: np.ndarray) -> "Scale":
        """The scale of held-out shares and largest logits, each [n]."""
        return cls(
            float(shares.mean()),
            max(float(shares.std()), 1e-6),
            float(logits.mean()),
            max(float(logits.std()), 1e-6),
        )

    def familiarity(self, shares: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The sum of the standardized scores, float32 [n]."""
        share = (shares - self.share_mean) / self.share_spread
        return np.asarray(share + (logits - self.logit_mean) / self.logit_spread, np.float32)


def subspace(directions: np.ndarray) -> np.ndarray:
    """The subspace of examples [n, d], float32 [d, r]: the squared length of a projection on it is the share."""
    wide = directions.astype(np.float64)
    squares, left = np.linalg.eigh(wide @ wide.T)
    kept = squares > 1e-6
    return np.asarray(wide.T @ (left[:, kept] / np.sqrt(squares[kept] + NOISE)), np.float32)


def shares(directions: np.ndarray, subspace: np.ndarray) -> np.ndarray:
    """The share of directions [m, d] in a subspace, float32 [m]."""
    return np.asarray(np.square(directions @ subspace).sum(axis=1))


def held_out(directions: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """The share of each example, [n], in the subspace of the examples in other folds."""
    wide = directions.astype(np.float64)
    products = wide @ wide.T
    found = np.empty(len(wide))
    for name in np.unique(fold):
        within = fold == name
        inner = products[np.ix_(~within, ~within)] + NOISE * np.eye(int((~within).sum()))
        across = products[np.ix_(~within, within)]
        found[within] = (across * np.linalg.solve(inner, across)).sum(axis=0)
    return found


def limit(familiarity: np.ndarray) -> float:
    """The familiarity that a share `KNOWN` of the held-out examples reach."""
    return float(np.quantile(familiarity, 1 - KNOWN))
