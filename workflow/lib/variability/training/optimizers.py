"""Optimizers, and the learning rate as a function of the step alone."""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Learning rates at the start and the end of one_cycle, relative to the peak: torch's defaults, which most published
# recipes use.
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = ONE_CYCLE_START / 1e4
#: eps of Adam and AdamW, torch's default.
EPS = 1e-8


def make_optimizer(parameters: Iterable["torch.Tensor"], recipe: Mapping[str, Any]) -> "torch.optim.Optimizer":
    """Return SGD, Adam or AdamW over the tensors that train.

    ``weight_decay`` applies to matrices and filters only, not to biases and normalisation (tensors of one dimension):
    shrinking a scale or an offset does not make a network simpler (He et al., CVPR 2019, section 3.1). SGD uses
    ``momentum``; Adam and AdamW use betas (0.9, 0.999). In Adam the decay is part of the gradient (L2), in AdamW not.
    """
    import torch

    from variability.training.cpu_kernels import fused_adam
    from variability.without_compiler import free_optimizers

    free_optimizers()
    eps = {} if recipe["optimizer"] == "sgd" else {"eps": EPS}
    parameters, decay = list(parameters), recipe["weight_decay"]
    decayed = [parameter for parameter in parameters if parameter.ndim > 1]
    not_decayed = [parameter for parameter in parameters if parameter.ndim <= 1]
    # Each group costs a call, a noticeable part of a head's step; so there are two only if their decays differ.
    shares = [(decayed, decay), (not_decayed, 0.0)] if decay else [(decayed + not_decayed, 0.0)]
    groups = [{"params": share, "weight_decay": group_decay} for share, group_decay in shares if share]
    # One kernel for all tensors of a group: the optimizer takes a tenth of a small network's step on the CPU.
    common: dict[str, Any] = {"lr": recipe["lr"], "fused": True} | eps
    if recipe["optimizer"] == "sgd":
        return torch.optim.SGD(groups, momentum=recipe["momentum"], **common)
    return fused_adam.optimizer_class(recipe["optimizer"])(groups, **common)


def set_rate(optimizer: "torch.optim.Optimizer", lr: float, step: int, recipe: Mapping[str, Any]) -> None:
    """Prepare the optimizer for the update of ``step``, counted from 0, at a learning rate.

    Without ``adam_bias_correction`` the update t is lr * m / (sqrt(v) + eps), as in the optimizer that BERT was
    published with. Its moments start at zero without a correction: the updates are (1 - b1^t) / sqrt(1 - b2^t) times
    those of Adam, 3.2 times at first, one cause of failed runs on small data (Mosbach et al., ICLR 2021; Zhang et al.,
    ICLR 2021). torch's kernels always correct; with lr times that ratio and eps / sqrt(1 - b2^t) they compute exactly
    this update. AdamW's decay is proportional to the rate and is divided by the ratio. In fp16, t also counts the steps
    that the scaler skips.
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


def learning_rate(step: int, total: int, recipe: Mapping[str, Any]) -> float:
    """Return the learning rate of a step (counted from 0) out of ``total``.

    A pure function, so that resuming needs no scheduler state. ``warmup`` is the fraction of the steps in which the
    rate rises: linearly from near 0 before ``constant``, ``linear`` (down to 0) and ``cosine`` (down to 0; Loshchilov
    and Hutter, ICLR 2017, eq. 5), along a cosine from 1/25 of the peak in ``one_cycle`` (down to 4e-6 of it; torch's
    OneCycleLR).
    """
    peak, schedule = recipe["lr"], recipe["schedule"]
    if schedule == "one_cycle":
        # As in OneCycleLR the peak may fall between two steps, and the last step has the lowest rate.
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
