"""Adam and AdamW that call PyTorch's fused kernel directly."""

from functools import cache
from typing import Any

import torch

from variability.training.cpu_kernels import switch

STOCK: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    """Return the class of an optimizer, ``adam`` or ``adamw``: the direct one, or torch's where kernels are off."""
    return direct(STOCK[name]) if switch.enabled() else STOCK[name]


@cache
def direct(stock: type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
    """Return a subclass of Adam or AdamW whose step is a call of the fused kernel and nothing else.

    Around the kernel torch makes a record for its profiler and sorts the tensors by device, which takes longer than the
    update of a head. And on the CPU the kernel copies each gradient that is not contiguous in its logical order, a copy
    that it does not use: filters in channels-last layout are passed as the contiguous memory that they are.
    """
    update = {torch.optim.Adam: torch._fused_adam_, torch.optim.AdamW: torch._fused_adamw_}[stock]

    def in_memory_order(tensor: torch.Tensor) -> torch.Tensor:
        return tensor if tensor.is_contiguous() or tensor.ndim != 4 else tensor.permute(0, 2, 3, 1)

    class Direct(stock):
        def _init_group(self, group: dict[str, Any], params: list[torch.Tensor], *lists: list[torch.Tensor]) -> bool:
            has_complex = super()._init_group(group, params, *lists)
            # Gradients and moments have the memory layout of their parameters.
            for tensors in (params, *lists):
                tensors[:] = map(in_memory_order, tensors)
            return has_complex

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            # A gradient scaler sets found_inf for the duration of its call; torch's step then handles it.
            if closure is not None or getattr(self, "found_inf", None) is not None:
                return super().step(closure)
            for group in self.param_groups:
                lists: list[list[torch.Tensor]] = [[] for _ in range(6)]
                self._init_group(group, *lists)
                if not lists[0]:
                    continue
                torch._foreach_add_(lists[-1], 1)
                beta1, beta2 = group["betas"]
                options = {name: group[name] for name in ("lr", "weight_decay", "eps", "amsgrad", "maximize")}
                update(*lists, beta1=beta1, beta2=beta2, **options)
            return None

        # Tells torch that the step needs no wrapper.
        step.hooked = True

    return Direct
