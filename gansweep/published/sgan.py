"""Odena 2016, the semi-supervised GAN."""

from __future__ import annotations

from gansweep.evidence import Finding, PublishedTable, known

TEXT = known("P:sgan")

OBJECTIVE = Finding(
    text="One softmax over N + 1 classes is trained on half real and half generated examples; G maximises that same "
    "likelihood loss, without the non-saturating form. The networks are DCGAN-like, on MNIST.",
    evidence=TEXT,
)
ACCURACIES = PublishedTable(
    title="SGAN paper: accuracy by number of labelled examples",
    columns=("examples", "cnn", "sgan"),
    rows=((1000, 0.965, 0.964), (100, 0.895, 0.928), (50, 0.859, 0.883), (25, 0.750, 0.802)),
    note="The CNN is SGAN without updates of G. Accuracy is of the largest output other than FAKE.",
    protocol="MNIST; learning rate chosen by random search, the best reported",
    evidence=TEXT,
)
CLEARER = Finding(text="Samples are clearer than the GAN's after 2 epochs.", evidence=TEXT)
