"""Metrics that other programs report and this workflow does not compute: their labels, directions and scales."""

from typing import Any


def _facts(
    label: str, low: float | None, high: float, reference: float | None, unit: str | None = None
) -> dict[str, Any]:
    facts = {"label": label, "higher_is_better": True, "perfect": high, "unit": unit}
    return facts | {"range": (low, high), "reference": reference}


_CORRELATION = (-1.0, 1.0, 0.0)
_SHARE = (0.0, 1.0, None)
_OF_EXAMPLES = (*_SHARE, "fraction of examples")
#: {name: what ``metrics.scalar_facts`` returns of a computed metric}.
FACTS = {
    **{name: _facts("Matthews correlation", *_CORRELATION) for name in ("mcc", "matthews_correlation")},
    **{name: _facts("Pearson correlation", *_CORRELATION) for name in ("pearson", "pearsonr")},
    **{name: _facts("Spearman correlation", *_CORRELATION) for name in ("spearman", "spearmanr")},
    **{name: _facts("Kendall correlation", *_CORRELATION) for name in ("kendall", "kendalltau")},
    **{name: _facts("Cohen's kappa", *_CORRELATION) for name in ("kappa", "cohen_kappa")},
    **{name: _facts("F1", *_SHARE) for name in ("f1", "f1_score")},
    **{name: _facts("precision", *_SHARE) for name in ("precision",)},
    **{name: _facts("recall", *_SHARE) for name in ("recall",)},
    **{name: _facts("AUROC", 0.0, 1.0, 0.5) for name in ("roc_auc", "auc_roc")},
    **{name: _facts("average precision", *_SHARE) for name in ("average_precision",)},
    **{name: _facts(f"accuracy ({name})", *_OF_EXAMPLES) for name in ("acc", "acc_norm")},
    **{name: _facts("exact match", *_OF_EXAMPLES) for name in ("exact_match",)},
    **{name: _facts("share of correct attempts", *_SHARE) for name in ("pass_rate",)},
    **{name: _facts("intersection over union", *_SHARE) for name in ("iou", "miou")},
}
