"""Nothing that is not linear follows the head, in any family of torchvision and timm: outputs have either sign.

Networks are built on the meta device, where they compute shapes only. The outputs of their heads are replaced by real
random numbers, so that what follows the head is computed for real.
"""

import pytest
import torch
from support import objections

from variability import registry
from variability.models import networks, trial
from variability.models.providers import _timm_facts, _torchvision_facts

pytestmark = pytest.mark.slow

#: A member of each family of torchvision, which are its modules, and options.
TORCHVISION = {
    "alexnet": {}, "convnext_tiny": {}, "densenet121": {}, "efficientnet_b0": {}, "efficientnet_v2_s": {},
    "googlenet": {}, "inception_v3": {}, "maxvit_t": {}, "mnasnet0_5": {}, "mobilenet_v2": {}, "mobilenet_v3_small": {},
    "regnet_y_400mf": {}, "resnet18": {}, "resnext50_32x4d": {}, "shufflenet_v2_x0_5": {}, "squeezenet1_0": {},
    "squeezenet1_1": {}, "swin_t": {}, "swin_v2_t": {}, "vgg11": {}, "vgg11_bn": {}, "vit_b_16": {},
    "wide_resnet50_2": {},
}  # fmt: skip
#: A member of each module of timm. Modules without one are in ``REFUSED``.
TIMM = {
    "beit": "beit_base_patch16_224", "byoanet": "botnet26t_256", "byobnet": "eca_resnext26ts", "cait": "cait_s24_224",
    "coat": "coat_lite_mini", "convit": "convit_small", "convmixer": "convmixer_1024_20_ks9_p14",
    "convnext": "convnext_zepto_rms", "cpubone": "cpubone_nano", "csatv2": "csatv2", "cspnet": "darknet17",
    "cspnext": "cspnext_tiny", "davit": "davit_tiny", "deit": "deit3_base_patch16_224", "densenet": "densenet121",
    "dla": "dla34", "dpn": "dpn48b", "edgenext": "edgenext_xx_small", "efficientnet": "test_efficientnet",
    "efficientvit_mit": "efficientvit_b0", "efficientvit_msra": "efficientvit_m2", "eva": "eva02_small_patch14_336",
    "fasternet": "fasternet_t2", "fastvit": "fastvit_t8", "focalnet": "focalnet_tiny_srf", "gcvit": "gcvit_xxtiny",
    "gemma4_vit": "gemma4_vit_570m", "ghostnet": "ghostnet_100", "hardcorenas": "hardcorenas_a",
    "hgnet": "hgnet_tiny", "hiera": "hiera_tiny_224", "hieradet_sam2": "hieradet_small", "hrnet": "hrnet_w18_small",
    "iformer": "iformer_t", "inception_next": "inception_next_atto", "inception_resnet_v2": "inception_resnet_v2",
    "inception_v3": "inception_v3", "inception_v4": "inception_v4", "lcnetv2": "lcnetv2_small", "levit": "levit_512",
    "lowformer": "lowformer_e1", "mambaout": "test_mambaout", "maxxvit": "coatnet_pico_rw_224",
    "metaformer": "poolformer_s12", "mlp_mixer": "gmixer_12_224", "mobilenetv3": "tf_mobilenetv3_small_minimal_100",
    "mobilenetv5": "mobilenetv5_base", "mobilevit": "mobilevitv2_150", "mvitv2": "mvitv2_tiny",
    "naflexvit": "naflexvit_base_patch16_gap", "nasnet": "nasnetalarge", "nest": "nest_tiny_jx",
    "nextvit": "nextvit_small", "nfnet": "nf_ecaresnet26", "pit": "pit_s_224", "pnasnet": "pnasnet5large",
    "pvt_v2": "pvt_v2_b1", "qwen3_vit": "qwen3_vit_88m", "rdnet": "rdnet_base", "regnet": "regnetx_064",
    "repghost": "repghostnet_111", "res2net": "res2net50_48w_2s", "resnest": "resnest14d", "resnet": "test_resnet",
    "resnetv2": "resnetv2_18", "rexnet": "rexnet_130", "selecsls": "selecsls42", "senet": "legacy_seresnet18",
    "sequencer": "sequencer2d_s", "shvit": "shvit_s3", "sknet": "skresnet18", "starnet": "starnet_s050",
    "swin_transformer": "swin_s3_tiny_224", "swin_transformer_v2": "swinv2_base_window16_256",
    "swin_transformer_v2_cr": "swinv2_cr_tiny_384", "tiny_vit": "tiny_vit_21m_384", "tnt": "tnt_b_patch16_224",
    "tresnet": "tresnet_l", "twins": "twins_svt_small", "vgg": "vgg13", "visformer": "visformer_tiny",
    "vision_transformer": "flexivit_base", "vision_transformer_hybrid": "vit_base_resnet26d_224",
    "vision_transformer_relpos": "test_vit_relpos", "vision_transformer_sam": "samvit_base_patch16_224",
    "vovnet": "ese_vovnet19b_slim", "xception": "legacy_xception",
    "deepseek_vit": "deepseek_vit_412m", "vitamin": "vitamin_small_224", 
    "xception_aligned": "xception41", "xcit": "xcit_nano_12_p16_224",
}  # fmt: skip
#: Modules of timm that take less than half a second: convolutional, residual and attention networks, and heads of each
#: kind.
QUICK = {
    *(
        "byoanet",
        "byobnet",
        "convnext",
        "cspnet",
        "cspnext",
        "dla",
        "efficientnet",
        "lcnetv2",
        "mobilenetv3",
        "resnest",
    ),
    *("resnet", "resnetv2", "senet", "sknet", "vgg", "vision_transformer_relpos", "vovnet", "xception"),
}
#: Modules of timm all of whose networks are refused, because their outputs come from no layer or from several.
REFUSED = {"crossvit", "efficientformer", "efficientformer_v2", "efficientvim", "repvit", "swiftformer"}
#: Modules of timm whose networks are refused by their trial: they add the largest output of a second head.
TRIAL_REFUSES = {"volo": "volo_d1_224"}
#: Sides of images for networks that take any and are slow.
SIDES = {"sequencer2d_s": 32, "nasnetalarge": 64, "regnet_y_400mf": 64}
NUMERIC = ["regnet_y_400mf"]


def provider(library, architecture, **options):
    plugin = registry.find("providers", library)
    return plugin({"architecture": architecture, "weights": "none", "options": options})


@torch.no_grad()
def check(network, side):
    """Compare the outputs for random numbers at the head with those for the same numbers times -2."""
    module, behind = network.module.eval(), {}
    images = torch.zeros(16, 3, side, side, device=next(module.parameters()).device)

    def replace(_module, _inputs, output):
        behind.setdefault("values", torch.randn(output.shape, generator=torch.Generator().manual_seed(0), device="cpu"))
        return behind["factor"] * behind["values"]

    hook = module.get_submodule(network.head).register_forward_hook(replace)
    outputs = []
    for behind["factor"] in (1.0, -2.0):
        outputs.append(module(images))
    hook.remove()
    assert outputs[0].shape == (16, module.get_submodule(network.head).weight.shape[0])
    assert (outputs[0] > 0).any() and (outputs[0] < 0).any()
    # A power of two scales without rounding.
    assert torch.equal(outputs[1], -2 * outputs[0])


def check_kinds(this, *kinds, device="meta"):
    with torch.device(device):
        network = this.build(3, None, 0, {"size": 224})
        side = SIDES.get(this.model["architecture"]) or this.preprocess(224)["size"]
        for outputs in kinds:
            check(networks.attach_head(network.module, outputs, 0, network.head), side)


@pytest.mark.parametrize("name", TORCHVISION)
def test_nothing_that_is_not_linear_follows_the_heads_of_torchvision(name):
    # RegNet computes its widths with tensors, which therefore cannot be on the meta device.
    this = provider("torchvision", name, **TORCHVISION[name])
    check_kinds(this, 3, 1, device="cpu" if name in NUMERIC else "meta")


def test_every_family_of_torchvision_is_under_test():
    stem = lambda name: name.rstrip("0123456789").split("_")[0].rstrip("0123456789")  # noqa: E731
    assert {stem(name) for name in _torchvision_facts.architectures()} == {stem(name) for name in TORCHVISION}


@pytest.mark.parametrize(
    "name", [name if module in QUICK else pytest.param(name, marks=pytest.mark.slow) for module, name in TIMM.items()]
)
def test_nothing_that_is_not_linear_follows_the_heads_of_timm(name):
    pytest.importorskip("timm", reason="the extra timm is not installed")
    check_kinds(provider("timm", name), 3)


def test_every_module_of_timm_is_under_test():
    pytest.importorskip("timm", reason="the extra timm is not installed")
    modules = {}
    for name, facts in _timm_facts._facts()["architectures"].items():
        modules.setdefault(facts["module"].rpartition(".")[2], []).append(name)
    assert set(modules) == set(TIMM) | REFUSED | set(TRIAL_REFUSES)
    for name in TRIAL_REFUSES.values():
        model = {"provider": "timm", "architecture": name, "weights": "none", "options": {}}
        assert trial.answer({"model": model, "size": 224, "outputs": 2, "method": None, "batch": 2})
    for module in REFUSED:
        assert all("architecture" in objections(provider("timm", name)) for name in modules[module]), module


@torch.no_grad()
@pytest.mark.parametrize(
    ("library", "name", "side", "options"),
    [
        ("torchvision", "squeezenet1_1", 48, {}),
        ("torchvision", "resnet18", 32, {}),
        ("torchvision", "mobilenet_v3_small", 32, {}),
        ("timm", "test_convnext", 32, {}),
        ("timm", "test_vit", 160, {}),
        ("timm", "mobilenetv3_small_050", 32, {}),
    ],
)
def test_outputs_scale_with_the_weights_of_the_head(library, name, side, options):
    if library == "timm":
        pytest.importorskip("timm", reason="the extra timm is not installed")
    network = provider(library, name, **options).build(3, None, 0)
    images = torch.rand(8, 3, side, side, generator=torch.Generator().manual_seed(0))
    head, module = network.module.get_submodule(network.head), network.module.eval()
    first = module(images)
    for parameter in head.parameters():
        parameter.mul_(-2)
    # Both signs: those of either side of the equation.
    assert first.shape == (8, 3) and (first != 0).all()
    assert torch.equal(module(images), -2 * first)


@pytest.mark.parametrize(("method", "options"), [("linear_probe", {}), ("partial", {"blocks": 2}), ("full", {})])
def test_a_step_moves_the_logits_of_a_convolutional_head_to_either_side(method, options):
    network = provider("torchvision", "squeezenet1_1").build(2, None, 0)
    module = network.module.eval()
    names = registry.find("methods", method)(options).trainable(network)
    trained = [value for name, value in module.named_parameters() if name.startswith(tuple(names))]
    images = torch.rand(8, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(8) % 2
    for label in (0, 1):
        # The gradient reaches every trained tensor from each of the two logits, whatever its sign is.
        gradients = torch.autograd.grad(module(images)[:, label].sum(), trained)
        assert all(gradient.abs().sum() > 0 for gradient in gradients)
    loss, before = torch.nn.functional.cross_entropy, module(images).detach()
    gradients = torch.autograd.grad(loss(module(images), labels), trained)
    with torch.no_grad():
        for value, gradient in zip(trained, gradients, strict=True):
            value -= 0.01 * gradient
    after = module(images).detach()
    assert loss(after, labels) < loss(before, labels)
    assert (after != 0).all() and (after != before).all()
