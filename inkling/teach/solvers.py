"""Linear classifiers with an L2 penalty: multinomial logistic regression and ridge regression, in NumPy alone.

Both take features z float64 [n, r], class weights of the examples float64 [n] with a mean of 1, and return a matrix
[r + 1, classes], whose last row is the bias. The bias is not penalized.
"""

from collections import deque
from collections.abc import Callable

import numpy as np

MOST_STEPS = 300  # of L-BFGS; it converges in 10 to 60 because its variables are scaled
MEMORY = 10  # pairs of steps and gradients that L-BFGS keeps
CONVERGED = 1e-6  # largest part of the gradient, of a loss that is a mean over examples
NEARLY = 1e-4  # the same for held-out answers, whose logits it changes by up to 1%
BIAS_PENALTY = 1e-9  # keeps the bias finite where a class has no example

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


def logistic(
    z: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    classes: int,
    penalty: float,
    start: np.ndarray | None = None,
    converged: float = CONVERGED,
) -> np.ndarray:
    """Multinomial logistic regression: minimizes the weighted mean log loss plus `penalty` / 2 times the squared norm.

    L-BFGS works on variables that are scaled by an upper bound of the curvature (Böhning 1992), so that it needs few
    steps even where the features' variances differ by orders of magnitude.

    Args:
        start: a solution nearby, such as that of another penalty.
        converged: the largest part of the gradient at the end.
    """
    n, size = z.shape
    curvature = np.append(0.25 * np.einsum("i,ij,ij->j", weights, z, z) / n + penalty, 0.25)
    scale = 1 / np.sqrt(curvature)[:, None]
    penalties = np.append(np.full(size, penalty), BIAS_PENALTY)[:, None]
    rows = np.arange(n)

    def loss(scaled: np.ndarray) -> tuple[float, np.ndarray]:
        w = scaled * scale
        logits = z @ w[:-1] + w[-1]
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        sums = powers.sum(axis=1)
        value = weights @ (np.log(sums) - logits[rows, y]) / n + 0.5 * float((penalties * w * w).sum())
        residual = powers / sums[:, None]
        residual[rows, y] -= 1
        residual *= weights[:, None] / n
        gradient = np.vstack([z.T @ residual, residual.sum(axis=0)]) + penalties * w
        return float(value), gradient * scale

    begin = np.zeros((size + 1, classes)) if start is None else start / scale
    return minimized(loss, begin, converged) * scale


def minimized(objective: Objective, start: np.ndarray, converged: float) -> np.ndarray:
    """The minimum of a strictly convex function by L-BFGS (Nocedal and Wright 2006, algorithm 7.4)."""
    x = start
    value, gradient = objective(x)
    pairs: deque[tuple[np.ndarray, np.ndarray, float]] = deque(maxlen=MEMORY)
    for _ in range(MOST_STEPS):
        if np.abs(gradient).max() <= converged:
            break
        direction = -_times_inverse(pairs, gradient)
        slope = float((direction * gradient).sum())
        step = 1.0
        while True:
            moved = x + step * direction
            new_value, new_gradient = objective(moved)
            if new_value <= value + 1e-4 * step * slope or step < 1e-8:
                break
            step /= 2
        change, bend = moved - x, new_gradient - gradient
        product = float((change * bend).sum())
        if product > 1e-14:
            pairs.append((change, bend, product))
        x, value, gradient = moved, new_value, new_gradient
    return x


def _times_inverse(pairs: deque[tuple[np.ndarray, np.ndarray, float]], gradient: np.ndarray) -> np.ndarray:
    """The gradient times the approximate inverse Hessian."""
    found = gradient.copy()
    shares = []
    for change, bend, product in reversed(pairs):
        share = float((change * found).sum()) / product
        shares.append(share)
        found -= share * bend
    if pairs:
        _, bend, product = pairs[-1]
        found *= product / float((bend * bend).sum())
    for (change, bend, product), share in zip(pairs, reversed(shares), strict=True):
        found += change * (share - float((bend * found).sum()) / product)
    return found


def ridge(
    z: np.ndarray, y: np.ndarray, weights: np.ndarray, classes: int, penalties: tuple[float, ...]
) -> list[np.ndarray]:
    """Ridge regression on one column of 0 and 1 for each class, a solution for each penalty.

    Minimizes half the weighted mean squared error plus half the penalty times the squared norm.
    """
    n = len(z)
    target = np.eye(classes)[y]
    share = weights / weights.sum()
    middle, usual = share @ z, share @ target
    centered = (z - middle) * weights[:, None]
    covariance = centered.T @ (z - middle) / n
    moment = centered.T @ (target - usual) / n
    found = []
    for penalty in penalties:
        w = np.linalg.solve(covariance + penalty * np.eye(z.shape[1]), moment)
        found.append(np.vstack([w, usual - middle @ w]))
    return found
