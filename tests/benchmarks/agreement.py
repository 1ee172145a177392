"""How well found nuclei agree with true ones: the usual figures, exact, on label images."""

import numpy as np
from scipy import ndimage as ndi
from scipy.optimize import linear_sum_assignment

REACH_UM = 6.0
"""Centroids no farther apart than this can be the same nucleus in the figure for detection."""


def f1(hits, truths, finds):
    return 2 * hits / (truths + finds) if truths + finds else float("nan")


def agreement(truth, truth_positive, found, found_positive, mpp):
    """Compare label images; the positives are arrays of bool, one for each label 1..n.

    AJI as Kumar et al., IEEE TMI 36(7), 1550-1560, 2017; F1 of nuclei matched at IoU 0.5; F1 of centroids
    within `REACH_UM`; counts for the pooled F1 of positive nuclei.
    """
    n, m = len(truth_positive), len(found_positive)
    shared = np.bincount((truth.astype(np.int64) * (m + 1) + found).ravel(), minlength=(n + 1) * (m + 1))
    shared = shared.reshape(n + 1, m + 1)
    areas, others = shared.sum(1), shared.sum(0)
    common = shared[1:, 1:]
    union = areas[1:, None] + others[None, 1:] - common
    iou = common / union
    rows, columns = linear_sum_assignment(-iou)
    hit = iou[rows, columns] >= 0.5
    rows, columns = rows[hit], columns[hit]
    truth_at, found_at = (
        np.array(ndi.center_of_mass(labels > 0, labels, range(1, count + 1))).reshape(-1, 2)
        for labels, count in ((truth, n), (found, m))
    )
    distance = np.linalg.norm(truth_at[:, None] - found_at[None], axis=2) * mpp
    near = np.where(distance <= REACH_UM, distance, 1e9)
    a, b = linear_sum_assignment(near)
    return {
        "AJI": _aji(areas[1:], others[1:], common, union),
        "F1": f1(len(rows), n, m),
        "detection F1": f1(int((near[a, b] < 1e9).sum()), n, m),
        "positives": (
            int((truth_positive[rows] & found_positive[columns]).sum()),
            truth_positive.sum(),
            found_positive.sum(),
        ),
        "found per true": m / n,
    }


def _aji(truths, finds, common, union):
    if not len(finds) or not len(truths):
        return float(len(finds) == len(truths))
    best = (common / union).argmax(axis=1)
    shared = common[np.arange(len(truths)), best]
    some = shared > 0
    alone = truths[~some].sum() + np.delete(finds, np.unique(best[some])).sum()
    return float(shared[some].sum() / (union[np.arange(len(truths)), best][some].sum() + alone))
