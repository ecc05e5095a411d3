"""Goodfellow et al. 2014, the standard GAN, as a founding document gives it."""

from __future__ import annotations

from gansweep.evidence import Finding, known

OPTIMUM = Finding(
    text="With the best discriminator, p_d/(p_d + p_g), the value of the game is -log 4 plus twice the Jensen-Shannon "
    "divergence.",
    evidence=known("S:004"),
)
