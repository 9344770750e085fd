"""The optimizer, and the learning rate as a function of the step alone."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Where one_cycle starts and ends, relative to the peak: torch's defaults, which most published recipes use.
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = ONE_CYCLE_START / 1e4
#: Of Adam and AdamW, torch's default.
EPS = 1e-8


def make_optimizer(parameters: Iterable["torch.Tensor"], recipe: dict[str, Any]) -> "torch.optim.Optimizer":
    """SGD, Adam or AdamW over the tensors that train.

    ``weight_decay`` applies to matrices and filters only, not to biases and normalisation (tensors of one dimension):
    shrinking a scale or an offset does not make a network simpler (He et al., CVPR 2019, section 3.1). ``momentum``
    is SGD's; Adam and AdamW use betas (0.9, 0.999). With Adam the decay is part of the gradient (L2), with AdamW not.
    """
    import torch

    from variability.training.cpu_kernels import fused_adam

    eps = {} if recipe["optimizer"] == "sgd" else {"eps": EPS}
    parameters, decay = list(parameters), recipe["weight_decay"]
    decayed = [each for each in parameters if each.ndim > 1]
    spared = [each for each in parameters if each.ndim <= 1]
    # A group costs a call, which a head's step feels: two only where they differ.
    shares = [(decayed, decay), (spared, 0.0)] if decay else [(decayed + spared, 0.0)]
    groups = [{"params": share, "weight_decay": each} for share, each in shares if share]
    # One kernel for all tensors of a group: of a small network's step on the CPU, the optimizer is a tenth.
    common = {"lr": recipe["lr"], "fused": True} | eps
    if recipe["optimizer"] == "sgd":
        return torch.optim.SGD(groups, momentum=recipe["momentum"], **common)
    return fused_adam.optimizer_class(recipe["optimizer"])(groups, **common)


def set_rate(optimizer: "torch.optim.Optimizer", lr: float, step: int, recipe: dict[str, Any]) -> None:
    """Makes the next update that of ``step``, counted from 0, at a learning rate.

    Without ``adam_bias_correction`` the update t is lr * m / (sqrt(v) + eps), as in the optimizer that BERT was
    published with. Its moments start at zero and nothing makes up for it: the updates are (1 - b1^t) / sqrt(1 - b2^t)
    times those of Adam, 3.2 times at first, one cause of failed runs on small data (Mosbach et al., ICLR 2021; Zhang
    et al., ICLR 2021). torch's kernels always correct; with lr times that ratio and eps / sqrt(1 - b2^t) they give that
    very update. AdamW's decay is in proportion to the rate and is divided by the ratio. In fp16 t counts steps that
    the scaler skips.
    """
    corrects = recipe["adam_bias_correction"] or recipe["optimizer"] == "sgd"
    for group in optimizer.param_groups:
        group["lr"] = lr
        if not corrects:
            first, second = (1 - beta ** (step + 1) for beta in group["betas"])
            scale = first / math.sqrt(second)
            group["lr"], group["eps"] = lr * scale, EPS / math.sqrt(second)
            if recipe["optimizer"] == "adamw" and group["weight_decay"]:
                group["weight_decay"] = recipe["weight_decay"] / scale


def learning_rate(step: int, total: int, recipe: dict[str, Any]) -> float:
    """Learning rate of a step (counted from 0) of ``total``.

    A pure function, so that resuming needs no scheduler's state. ``warmup`` is the fraction of the steps in which the
    rate rises: linearly from near 0 before ``constant``, ``linear`` (down to 0) and ``cosine`` (down to 0; Loshchilov
    and Hutter, ICLR 2017, eq. 5), along a cosine from 1/25 of the peak in ``one_cycle`` (down to 4e-6 of it; torch's
    OneCycleLR).
    """
    peak, schedule = recipe["lr"], recipe["schedule"]
    if schedule == "one_cycle":
        # OneCycleLR lets the top fall between two steps, and its last step, not the one after it, is the lowest.
        top, last = recipe["warmup"] * total - 1, total - 1
        if step <= top:
            return _cosine(ONE_CYCLE_START * peak, peak, step / top if top > 0 else 1.0)
        top = max(top, 0.0)
        return _cosine(peak, ONE_CYCLE_END * peak, (step - top) / (last - top) if last > top else 0.0)
    rising = round(recipe["warmup"] * total)
    if step < rising:
        return peak * (step + 1) / (rising + 1)
    if schedule == "constant":
        return peak
    if schedule == "linear":
        return peak * (total - step) / (total - rising)
    return _cosine(peak, 0.0, (step - rising) / (total - rising))


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * fraction)) / 2
