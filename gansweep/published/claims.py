"""What the papers say that our studies can check, and what our results must show for each judgement.

The limits in the agreements (shares, tolerances) are ours, set before any result was judged by them. Since then more
was made undecidable: where nothing trained, where runs are not known, where a network was not at its optimum. Any other
change stands in `amended`. Absolute scores are comparable at the preset `paper` only; orderings at every preset.
"""

from __future__ import annotations

from gansweep.evidence import Agreement, Claim
from gansweep.published import lsgan, wgan, wgan_gp, wgan_gp_images, wgan_gp_toys

RANDOM_ARCHITECTURES = (
    Claim(
        study="S1",
        sentence="WGAN-GP trains many architectures that the standard GAN does not, at every middle threshold.",
        rests_on=(wgan_gp.TABLE_5, wgan_gp.TRAINS_MANY, wgan_gp.MCNEMAR),
        agreement=Agreement(
            reproduced="At every middle threshold, one at which the two arms differ in a cell or more, more cells "
            "succeed only under WGAN-GP than only under the GAN; and the exact McNemar test, corrected over the "
            "thresholds, is below 0.05 at one of them or more.",
            contradicted="At a threshold more cells succeed only under the GAN, and the corrected test is below 0.05.",
            undecidable="Anything else: the arms differ in too few cells for the test, also if every cell that is not "
            "known spoke against it, or the direction changes from threshold to threshold.",
        ),
    ),
    Claim(
        study="S1",
        sentence="Hardly any architecture is trained by the standard GAN only.",
        rests_on=(wgan_gp.ONLY_GAN_AT_MOST, wgan_gp.TABLE_5),
        agreement=Agreement(
            reproduced="The 95% interval of the share of cells that only the GAN trains ends below 5% at every "
            "threshold.",
            contradicted="That interval, corrected over the thresholds, begins above 5% at one of them or more.",
            undecidable="Anything else: with fewer than about 75 cells even a count of none leaves more than 5% "
            "possible.",
        ),
    ),
    Claim(
        study="S1",
        sentence="WGAN-GP's scores are higher over the whole set: the GAN's median is between 3.0 and 3.5, WGAN-GP's "
        "just above 7.0.",
        rests_on=(wgan_gp.MEDIANS, wgan_gp.TABLE_5),
        agreement=Agreement(
            reproduced="The median of the paired differences, WGAN-GP less GAN, is positive with its 95% interval. "
            "At the preset paper the medians are also between the published thresholds.",
            contradicted="That interval is below zero.",
            undecidable="That interval holds zero, the arms' scores are of different protocols, or neither trains in "
            "any run.",
        ),
    ),
)

PENALTY_SIDES = (
    Claim(
        study="S2",
        sentence="The two-sided penalty is better on more architectures than the one-sided one, and not "
        "significantly so.",
        rests_on=(
            wgan_gp.SIDES_COMPARED,
            wgan_gp.TWO_SIDED_BETTER,
            wgan_gp.ONE_SIDED_BETTER,
            wgan_gp.SIDES_LEVEL,
            wgan_gp.SIDES_SIGN_TEST,
        ),
        agreement=Agreement(
            reproduced="The sign test on the paired wins is not below 0.05, and the 95% interval of the two-sided "
            "penalty's share of them lies between 35% and 65%, so that a large advantage would have been seen.",
            contradicted="The sign test is below 0.05, for either side.",
            undecidable="The sign test is not below 0.05, but the interval is wider than that; or either would be "
            "another if what is not known were.",
        ),
    ),
)

VARIED_ARCHITECTURES = (
    Claim(
        study="S3",
        sentence="With one set of hyperparameters, only WGAN-GP trains every one of the seven architectures.",
        rests_on=(wgan_gp.ONLY_WGAN_GP_TRAINS_ALL, wgan_gp.VARIED_ROWS, wgan_gp.VARIED_METHODS),
        agreement=Agreement(
            reproduced="WGAN-GP trains all seven rows in most seeds, and each other method fails in most seeds of "
            "one row or more.",
            contradicted="Another method trains all seven rows in most seeds, and WGAN-GP does not.",
            undecidable="All methods train every row, so the problem is too easy at this scale; or none does; or the "
            "seeds of a row that decides are split.",
        ),
    ),
)

CONVERGENCE = (
    Claim(
        study="S4",
        sentence="With the same optimiser the penalty converges faster than clipping, and to a better score.",
        rests_on=(wgan_gp_images.PENALTY_BEATS_CLIPPING,),
        agreement=Agreement(
            reproduced="With RMSProp at one rate, WGAN-GP's area under the curve and its final score are higher than "
            "those of clipping, with the 95% intervals of the paired differences over seeds.",
            contradicted="Clipping's final score is higher, with that interval.",
            undecidable="Anything else: the interval of a difference holds zero, or neither trains in any run.",
        ),
    ),
    Claim(
        study="S4",
        sentence="Adam improves WGAN-GP further.",
        rests_on=(wgan_gp_images.ADAM_IMPROVES,),
        agreement=Agreement(
            reproduced="WGAN-GP with Adam ends higher than with RMSProp, with the 95% interval over seeds.",
            contradicted="It ends lower, with that interval.",
            undecidable="The interval holds zero, or neither trains in any run.",
        ),
    ),
    Claim(
        study="S4",
        sentence="WGAN-GP is slower than DCGAN in seconds, but more stable at convergence.",
        rests_on=(wgan_gp_images.DCGAN_FASTER,),
        agreement=Agreement(
            reproduced="DCGAN reaches the score that both reach in fewer seconds on the same machine, and its score "
            "falls further from its best by the end than WGAN-GP's, both with the 95% intervals over seeds.",
            contradicted="WGAN-GP reaches that score in fewer seconds, or falls further, with those intervals.",
            undecidable="No score is reached by both, an interval holds zero, or neither trains in any run. Seconds "
            "are those of the machine with whatever else it did.",
        ),
    ),
)

VALUE_SURFACES = (
    Claim(
        study="S5",
        sentence="Against a fixed generator, critics with clipped weights miss the higher moments of the data: their "
        "surfaces are simpler than those with the penalty.",
        rests_on=(wgan_gp_toys.CLIPPING_MISSES_MOMENTS, wgan_gp_toys.FIXED_GENERATOR, wgan_gp_toys.DATA),
        agreement=Agreement(
            reproduced="At the lambda of the authors' code, 0.1, and on all three data sets the clipped critic's "
            "surface has shallower dents, with the 95% interval over seeds, and on the two mixtures it has peaks at "
            "fewer modes in every seed.",
            contradicted="On a data set it has the deeper dents, with that interval, and on a mixture peaks at more "
            "modes in every seed.",
            undecidable="Anything else: the two measures disagree, or an interval holds zero.",
            amended="On 2026-11-22, after a laptop run with seed 0. Before, a surface was simple where its slope "
            "varies little, relative to its mean. But the penalty itself evens the slope out over the plane: by that "
            "measure critics that showed all eight modes counted as simpler than clipped ones that showed none. The "
            "depth of dents replaced it, and what is published of ours is judged on a run with seed 1.",
        ),
    ),
)

GRADIENTS_AND_WEIGHTS = (
    Claim(
        study="S6",
        sentence="In deep critics clipping makes gradients grow or decay exponentially through the layers; the penalty "
        "keeps them about level.",
        rests_on=(
            wgan_gp_toys.GRADIENTS_EXPLODE_OR_VANISH,
            wgan_gp_toys.GRADIENTS_STAY_FLAT,
            wgan_gp_toys.GRADIENT_BOUNDS,
            wgan_gp_toys.GRADIENT_LAYERS,
        ),
        agreement=Agreement(
            reproduced="The slope of the logarithm of the gradient norm per layer is steeper than the penalty's for "
            "every bound c, up or down, and the penalty's is within 0.2 (natural logarithm) of level, with the 95% "
            "intervals over seeds.",
            contradicted="The penalty's slope is steeper than that of every bound, with those intervals.",
            undecidable="Anything else: some bounds are as level as the penalty, or intervals are too wide.",
        ),
    ),
    Claim(
        study="S6",
        sentence="Clipping piles weights up at the bounds; with the penalty their histogram is a bell.",
        rests_on=(wgan_gp_toys.WEIGHTS_PILE_UP, wgan_gp_toys.WEIGHTS_BELL),
        agreement=Agreement(
            reproduced="The share of weights with |w| at least 0.99 c is above the 1% of a uniform spread, with its "
            "95% interval over seeds, for c = 0.01; with the penalty the density falls from the middle outwards.",
            contradicted="That share is below 1%, with its interval.",
            undecidable="The interval holds 1%, the density of the penalty's weights does not fall, or a run has no "
            "weights to measure.",
        ),
    ),
)

DISTANCES = (
    Claim(
        study="S9",
        sentence="Between two parallel lines the Wasserstein distance is |theta|; the others do not depend on theta "
        "unless it is 0: Jensen-Shannon log 2, Kullback-Leibler infinite, total variation 1.",
        rests_on=(wgan.PARALLEL_LINES,),
        agreement=Agreement(
            reproduced="At every theta each estimate (Wasserstein, Jensen-Shannon, total variation) has its closed "
            "form in its 95% interval over seeds, and where that is not 0, not 0 as well.",
            contradicted="An estimate of Jensen-Shannon or of the total variation, which are lower bounds, is above "
            "its closed form, with an interval corrected for the number of estimates.",
            undecidable="Anything else: an estimate is too low, so not at its optimum, or its error is not known.",
        ),
    ),
    Claim(
        study="S10",
        sentence="Trained to optimality between two Gaussians, the GAN's discriminator saturates and the WGAN critic "
        "is about linear where there are data.",
        rests_on=(wgan.CRITIC_LINEAR,),
        agreement=Agreement(
            reproduced="Where the data are, the discriminator's slope falls below 1% of its largest, and the "
            "critic's slope stays above half of its largest, in every seed.",
            contradicted="In every seed the critic's slope falls below 1% of its largest where the data are.",
            undecidable="The seeds disagree, there is one only, or the discriminator saturates in none: the best one "
            "does, so the networks were not at their optimum.",
        ),
    ),
)

WITHOUT_BATCH_NORM = (
    Claim(
        study="S12",
        sentence="Without batch norm in the generator, with Adam, LSGAN trains in some runs and the GAN in none.",
        rests_on=(lsgan.STABILITY_GRID,),
        recalled=(lsgan.NO_BN_IN_G_ADAM,),
        agreement=Agreement(
            reproduced="Over ten seeds or more LSGAN trains more often, with an exact test below 0.05.",
            contradicted="The GAN trains more often, with that test.",
            undecidable="The test is not below 0.05, or would not be if every run that is not known spoke against it.",
        ),
    ),
    Claim(
        study="S12",
        sentence="Without batch norm in the generator, with RMSProp, LSGAN and the GAN both train.",
        rests_on=(lsgan.STABILITY_GRID,),
        recalled=(lsgan.NO_BN_IN_G_RMSPROP,),
        agreement=Agreement(
            reproduced="Both train in most of ten seeds or more, with the 95% intervals of the shares above half.",
            contradicted="One of the two fails in most seeds, with its interval below half.",
            undecidable="An interval holds half.",
        ),
    ),
    Claim(
        study="S12",
        sentence="Without any batch norm, with Adam, LSGAN and the GAN both collapse slightly.",
        rests_on=(lsgan.STABILITY_GRID,),
        recalled=(lsgan.NO_BN_ADAM,),
        agreement=Agreement(
            reproduced="Both lose modes or diversity against the same network with batch norm, with the 95% intervals.",
            contradicted="One of the two loses none, with its interval.",
            undecidable="An interval holds zero: how slight is slight was never printed as a number.",
        ),
    ),
    Claim(
        study="S12",
        sentence="Without any batch norm, with RMSProp, LSGAN is better than the GAN.",
        rests_on=(lsgan.STABILITY_GRID,),
        recalled=(lsgan.NO_BN_RMSPROP,),
        agreement=Agreement(
            reproduced="Over ten seeds or more LSGAN's score is higher, with the 95% interval of the difference.",
            contradicted="It is lower, with that interval.",
            undecidable="The interval holds zero, or neither trains in any run.",
        ),
    ),
)

MIXTURE = (
    Claim(
        study="S13",
        sentence="On the ring of Gaussians the GAN loses modes and LSGAN covers them.",
        rests_on=(lsgan.MIXTURE_SETTINGS, lsgan.MIXTURE_MODES),
        recalled=(lsgan.MIXTURE_OUTCOME, lsgan.MIXTURE_COUNTS),
        agreement=Agreement(
            reproduced="At the last step, over ten seeds or more, LSGAN covers more modes than the GAN and all of "
            "them in most seeds, with the 95% interval of the difference.",
            contradicted="The GAN covers more modes, with that interval.",
            undecidable="The interval holds zero, or LSGAN loses modes in most seeds too.",
        ),
    ),
)

CODINGS = (
    Claim(
        study="S14",
        sentence="The codings -1/1/0 and 0/1/1 perform alike (ICCV version).",
        rests_on=(lsgan.ICCV_CODINGS_ALIKE, lsgan.CODINGS),
        agreement=Agreement(
            reproduced="The 95% interval of the paired difference of the scores lies within 5% of their mean.",
            contradicted="The interval lies outside that, for either coding.",
            undecidable="The interval is partly inside, or neither coding trains in any run: what learns nothing "
            "is alike.",
        ),
    ),
    Claim(
        study="S14",
        sentence="The Pearson coding, -1/1/0, is better than 0/1/1 (journal version).",
        rests_on=(lsgan.JOURNAL_PEARSON_BETTER, lsgan.CODINGS),
        agreement=Agreement(
            reproduced="The 95% interval of the paired difference, -1/1/0 less 0/1/1, is above zero.",
            contradicted="That interval is below zero.",
            undecidable="That interval holds zero, or neither coding trains in any run.",
        ),
    ),
)

CRITIC_STEPS = (
    Claim(
        study="n_critic",
        sentence="Five critic steps per generator step are enough: they should work where published results had ten.",
        rests_on=(
            wgan_gp_toys.LANGUAGE_CRITIC_STEPS,
            wgan_gp.CRITIC_STEPS,
            wgan.DEFAULTS,
        ),
        agreement=Agreement(
            reproduced="At equal generator steps the score with five steps is not more than 5% worse than with ten, "
            "with the 95% interval of the paired difference.",
            contradicted="It is more than 5% worse, with that interval.",
            undecidable="The interval holds that limit, or neither number of steps trains.",
        ),
    ),
    Claim(
        study="n_critic",
        sentence="With finitely many critic steps neither WGAN nor WGAN-GP is guaranteed to converge.",
        rests_on=(wgan.NOT_GUARANTEED,),
        agreement=Agreement(
            reproduced="On a problem with a known answer, runs of both keep their distance from it to the end and do "
            "not come nearer than they were at first, in every seed.",
            contradicted="No run can contradict it: that some converge is no guarantee.",
            undecidable="All runs converge, or come nearer to the end.",
        ),
    ),
)

CLAIMS = (
    *RANDOM_ARCHITECTURES,
    *PENALTY_SIDES,
    *VARIED_ARCHITECTURES,
    *CONVERGENCE,
    *VALUE_SURFACES,
    *GRADIENTS_AND_WEIGHTS,
    *DISTANCES,
    *WITHOUT_BATCH_NORM,
    *MIXTURE,
    *CODINGS,
    *CRITIC_STEPS,
)
