"""Traps in published code: what ports of these methods do differently, and what optimisers mean by a name."""

from __future__ import annotations

from gansweep.evidence import Finding, PublishedTable, Recalled, Value, known

ERIK, ZNX = known("C:erik"), known("C:znx")

TF_RMSPROP = PublishedTable(
    title="RMSProp of TensorFlow 1",
    columns=("item", "value"),
    rows=(("decay", 0.9), ("epsilon, inside the root", 1e-10), ("accumulator at the start", 1)),
    note="RMSProp at 5e-5 is not one optimiser: WassersteinGAN is in PyTorch, improved_wgan_training in TensorFlow.",
    evidence=known("X:tf-rmsprop"),
)
TORCH_RMSPROP = Recalled(
    text="PyTorch's has alpha 0.99, epsilon 1e-8 outside the root, and an accumulator that starts at 0.",
    about="torch.optim.RMSprop",
    tag="R-hi",
)
L2_LOSS_SUMS = Finding(text="l2_loss of TensorFlow sums over the batch.", evidence=known("C:lsgan"))
PULLING_AWAY = Finding(
    text="One port of EBGAN's pulling-away term omits the square; another divides by the L1 norm of the whole tensor.",
    evidence=ERIK + ZNX,
)
DRAGAN_SLOPE = Finding(
    text="A port of DRAGAN draws alpha per pixel and takes the gradient's norm over the channels only.", evidence=ERIK
)
DOUBLE_SOFTMAX = Finding(
    text="Ports of AC-GAN, InfoGAN and SGAN feed a softmax to the cross-entropy; SGAN there has a separate sigmoid "
    "head, and CGAN and InfoGAN have squared adversarial losses.",
    evidence=ERIK,
)
MARGIN_OF_THE_MEAN = Finding(
    text="Ports of EBGAN hinge the batch's mean and not each example; the energy is a mean square, which changes the "
    "scale of the margin, and its target is detached in the generator's step.",
    evidence=ERIK + ZNX,
)
BEGAN_GAMMA = Value(value=1, what="gamma of a port of BEGAN", evidence=ZNX)
EBGAN_MARGIN = Value(value=1, what="margin of a port of EBGAN", evidence=ZNX)
WGAN_GP_DEFAULTS = PublishedTable(
    title="A port's defaults of WGAN-GP",
    columns=("item", "value"),
    rows=(("Adam learning rate", 2e-4), ("beta1", 0.5), ("beta2", 0.999)),
    evidence=ERIK,
)
DOUBLE_BACKPROP = Finding(
    text="The gradient penalty needs a second backward pass, and batch norm in the critic invalidates it.",
    evidence=known("P:wgangp", "section 4"),
)
ROOT_EPSILON = Value(
    value=1e-12, what="added under the root of a gradient's norm, for a norm of 0", evidence=known("S:004")
)
ITERATIONS = PublishedTable(
    title="What an iteration is",
    columns=("code", "iteration"),
    rows=(
        ("WGAN and WGAN-GP", "a step of the generator"),
        ("compare_gan", "a step of the discriminator"),
    ),
    evidence=known("C:wgan-c") + known("C:iwt") + known("C:cmp"),
)
PIXELS = PublishedTable(
    title="Ranges of pixels and what ends the generator",
    columns=("data", "range", "output"),
    rows=(
        ("MNIST", "[0, 1]", "sigmoid"),
        ("CIFAR", "[-1, 1]", "tanh"),
        ("HWDB of LSGAN", None, "sigmoid"),
    ),
    evidence=known("C:iwt") + known("C:lsgan"),
)
CLIPPED_GAINS = Finding(
    text="Three codes clip every variable of the critic, biases and batch norm's gains too: with c = 0.01 a gain is "
    "crushed to at most 0.01.",
    evidence=known("C:iwt") + known("C:wgan-c") + known("C:cmp"),
)
