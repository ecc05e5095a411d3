"""What does clipping do to a deep critic's gradients and weights that the penalty does not?

design  Generator and critic are 12-layer ReLU networks without batch normalisation on the Swiss roll. Three bounds of
        clipping are compared with the penalty from the same initial weights, data and noise; cells differ in their
        seeds. Recorded are the norm of the gradient of the critic's loss in each layer's activations, and the weights.
after   Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", section 3.2 and figure 1b. They agree if the
        gradient grows or fades exponentially through the layers under every bound and is about level under the penalty,
        and if clipped weights pile up at the bounds where those of the penalty have the shape of a bell. Width, the
        iteration of the measurement and the optimisers' rates are not in the paper.
run     gansweep launch studies/clipping.py
took    laptop: 7 minutes on two cores.
found   laptop: the logarithm of the gradient norm falls by 4.9 a layer on its way back with c = 0.001, by 2.6 with
        0.01, grows by 0.7 with 0.1, and is level with the penalty (0.005; -0.03 to 0.04): reproduced. With c = 0.01,
        95.5% of the weights lie at the bounds. That the penalty's weights make a bell is not decided: after 500
        iterations theirs is still the even histogram of their initial values.
"""

from gansweep import (
    WGAN_CLIP_TF,
    WGAN_GP_TOY,
    ActivationGradients,
    Claims,
    Confounders,
    Diverged,
    EarthMover,
    FreeChoices,
    GradientNorms,
    HeUniform,
    Latent,
    MLPDiscriminator,
    MLPGenerator,
    OutcomeFlow,
    Preset,
    SampleGrids,
    Stability,
    Study,
    SwissRoll,
    Traces,
    TrialConfig,
    WeightHistograms,
    WeightShapes,
)

study = Study(
    name="clipping",
    question="What does clipping do to a deep critic's gradients and weights that the penalty does not?",
    source="Gulrajani et al. 2017, Improved Training of Wasserstein GANs, section 3.2 and figure 1b",
    baseline=TrialConfig(
        data=SwissRoll(),
        generator=MLPGenerator(depth=12, width=512),
        discriminator=MLPDiscriminator(depth=12, width=512),
        initialisation=HeUniform(),
        latent=Latent(size=2),
        batch_size=256,
        steps=2_000,
        report_every=100,
        evaluate_every=500,
        **WGAN_GP_TOY,
    ),
    repeats=5,
    axes={
        "constraint": {
            "clip_0.1": {**WGAN_CLIP_TF, "constraint.bound": 0.1},
            "clip_0.01": {**WGAN_CLIP_TF, "constraint.bound": 0.01},
            "clip_0.001": {**WGAN_CLIP_TF, "constraint.bound": 0.001},
            "penalty": {**WGAN_GP_TOY, "constraint.weight": 10.0},
        }
    },
    metrics=(EarthMover(num_samples=500),),
    rules=(Diverged(),),
    portraits=(ActivationGradients(), WeightHistograms(bins=101)),
    presets={
        "smoke": Preset(
            description="Networks of 16 units and 20 iterations: shows that the machinery works.",
            overrides={
                "generator.width": 16,
                "discriminator.width": 16,
                "steps": 20,
                "report_every": 10,
                "evaluate_every": 20,
            },
            repeats=1,
        ),
        "laptop": Preset(
            description="Networks of 128 units, 500 of the 2,000 iterations, and three seeds of the five.",
            overrides={
                "generator.width": 128,
                "discriminator.width": 128,
                "steps": 500,
                "report_every": 50,
                "evaluate_every": 100,
            },
            repeats=3,
        ),
        "paper": Preset(
            description="Networks of 512 units, as in the authors' code for toys, and 2,000 iterations: the paper "
            "gives neither. Six hours on two cores."
        ),
    },
    report=(
        Claims(),
        GradientNorms(),
        WeightShapes(),
        Traces(columns=("activation_gradient_slope", "weights_at_bound"), title="While they were trained"),
        Stability(),
        SampleGrids(per_arm=1),
        OutcomeFlow(),
        FreeChoices(),
        Confounders(),
    ),
    labels={
        "clip_0.1": "Clipped at 0.1",
        "clip_0.01": "Clipped at 0.01",
        "clip_0.001": "Clipped at 0.001",
        "penalty": "Penalty, λ = 10",
        "earth_mover": "distance of the samples",
    },
    caveats=(
        "Of He's initial weights clipping cuts, at the first critic step, all that are above the bound: those of 512 "
        "units reach 0.11, and those of narrower networks more.",
        "A clipped layer of n units passes a gradient on with a gain of about c sqrt(n/2), so the slope at a bound "
        "depends on the width, which the paper does not state.",
        "The arms differ in the optimiser, too: clipping goes with RMSProp, the penalty with Adam.",
    ),
)
