"""What labels mean, by hand: generators and discriminators that are right as often as was planned."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from gansweep import ACGAN, CatGAN, InfoGAN, Latent, MLPDiscriminator
from gansweep.data.cache import Images
from gansweep.data.densities import SwissRoll
from gansweep.data.opened import OpenData, open_data
from gansweep.data.sources import Digits
from gansweep.data.training_set import ImageSet
from gansweep.metrics.classifier import Answers, LoadedClassifier, TrainedClassifier
from gansweep.metrics.labels import DiscriminatorAccuracy, RequestedLabelAccuracy, meaning
from gansweep.metrics.subject import Subject
from gansweep.outputs import Output
from gansweep.parts import describe, override
from gansweep.training import TrainState, evaluator, sample
from gansweep.trial import TrialConfig

CPU = torch.device("cpu")


def grey(values: Sequence[int]) -> np.ndarray:
    """An image of 4x4 equal pixels for each value; the value is all that a network can see."""
    return np.array(values, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 4, 4), dtype=np.uint8)


def data_of(train: dict[int, int], test: dict[int, int], classes: int = 3) -> OpenData:
    """Images by their grey value and its label, one each."""
    images = Images(
        name="greys",
        train_images=grey(list(train)),
        train_labels=np.array(list(train.values())),
        test_images=grey(list(test)),
        test_labels=np.array(list(test.values())),
        classes=tuple("abcdef"[:classes]),
        content="made up",
        size=4,
        channels=1,
    )
    training = ImageSet(torch.from_numpy(images.train_images), torch.from_numpy(images.train_labels), classes)
    return OpenData(Digits(), "greys", "made up", training, images)


def value_of(x: Tensor) -> Tensor:
    """The grey value of images in [-1, 1], int64 [batch]: what `to_unit` did to it, undone."""
    return ((x[:, 0, 0, 0] + 1) * 127.5).round().long()


def named(table: dict[int, int], columns: int) -> Callable[[Tensor], Tensor]:
    """Logits [batch, columns] that are highest in the column that the table has for the grey value."""
    columns_of = torch.zeros(256, dtype=torch.int64)
    for value, column in table.items():
        columns_of[value] = column
    return lambda x: torch.nn.functional.one_hot(columns_of[value_of(x)], columns).float()


def subject(data: OpenData, discriminator: Callable[[Tensor], Output]) -> Subject:
    return Subject(torch.zeros(1, 1, 4, 4), None, discriminator, data)


def accuracy(data: OpenData, discriminator: Callable[[Tensor], Output], **fields: object) -> float:
    metric = DiscriminatorAccuracy(**fields)  # type: ignore[arg-type]
    return metric.measure(subject(data, discriminator), metric.load(data, None, CPU))["discriminator_accuracy"]


# What a category means


def test_a_category_means_the_class_most_frequent_in_it() -> None:
    categories = np.array([0, 0, 0, 1, 1, 1, 1, 3])
    labels = np.array([2, 2, 0, 1, 1, 0, 0, 2])
    # category 0 holds two of class 2; 1 holds two of each of 0 and 1, and the lower one counts; 2 is empty
    assert meaning(categories, labels, 4).tolist() == [2, 0, -1, 2]


def test_several_categories_may_mean_one_class() -> None:
    assert meaning(np.arange(6), np.array([1, 1, 0, 1, 0, 0]), 6).tolist() == [1, 1, 0, 1, 0, 0]


def test_a_category_is_named_by_its_own_images_and_not_by_the_frequent_class() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    categories = np.array([0] * 90 + [1] * 10)
    assert meaning(categories, labels, 2).tolist() == [0, 1]


# The discriminator's own answer

TRAIN = {0: 0, 10: 0, 20: 1, 30: 1, 40: 2, 50: 2}
TEST = {1: 0, 11: 0, 21: 1, 31: 1, 41: 2}


def classifier_of(table: dict[int, int], columns: int = 3) -> Callable[[Tensor], Output]:
    logits = named(table, columns)
    return lambda x: Output(classes=logits(x))


def test_accuracy_is_the_share_of_right_test_images() -> None:
    data = data_of(TRAIN, TEST)
    assert accuracy(data, classifier_of(TEST)) == 1.0
    assert accuracy(data, classifier_of({**TEST, 11: 2, 41: 0})) == pytest.approx(3 / 5)
    # one class for everything is right as often as the class is frequent, which the reference calls chance
    assert accuracy(data, classifier_of({})) == pytest.approx(2 / 5)
    assert DiscriminatorAccuracy().reference(CPU, data)["chance"] == pytest.approx(2 / 5)


def test_training_images_do_not_count() -> None:
    assert accuracy(data_of(TRAIN, TEST), classifier_of({**TRAIN, **dict.fromkeys(TEST, 2)})) == pytest.approx(1 / 5)


def test_an_image_taken_for_fake_still_has_the_best_class_of_the_data() -> None:
    def sgan(x: Tensor) -> Output:
        fake = torch.full((len(x), 1), 9.0)  # the class of fakes, the last, is the most probable everywhere
        return Output(classes=torch.cat([named(TEST, 3)(x), fake], dim=1))

    assert accuracy(data_of(TRAIN, TEST), sgan) == 1.0


def test_renamed_classes_are_wrong_unless_they_are_matched() -> None:
    renamed = {value: (label + 1) % 3 for value, label in {**TRAIN, **TEST}.items()}
    assert accuracy(data_of(TRAIN, TEST), classifier_of(renamed)) == 0.0
    assert accuracy(data_of(TRAIN, TEST), classifier_of(renamed), matched=True) == 1.0


def test_more_categories_than_classes_can_be_matched() -> None:
    # five clusters: two of class 0, two of class 1, one of class 2
    clusters = {0: 0, 10: 4, 20: 1, 30: 3, 40: 2, 50: 2, 1: 0, 11: 4, 21: 1, 31: 3, 41: 2}
    assert accuracy(data_of(TRAIN, TEST), classifier_of(clusters, columns=5), matched=True) == 1.0


def test_categories_are_matched_on_training_images_so_a_category_they_lack_is_wrong() -> None:
    # the test image of class 2 falls into a category in which no training image is
    clusters = {**TRAIN, **TEST, 41: 4}
    assert accuracy(data_of(TRAIN, TEST), classifier_of(clusters, columns=5), matched=True) == pytest.approx(4 / 5)
    # and test labels do not name it: swapped training labels are what counts
    swapped = data_of({**TRAIN, 0: 1, 10: 1, 20: 0, 30: 0}, TEST)
    assert accuracy(swapped, classifier_of({**TRAIN, **TEST}), matched=True) == pytest.approx(1 / 5)


def test_codes_are_judged_by_the_first_categorical_one() -> None:
    other = dict.fromkeys({**TRAIN, **TEST}, 0)

    def coded(x: Tensor) -> Output:
        return Output(score=torch.zeros(len(x)), codes=(named({**TRAIN, **TEST}, 3)(x), named(other, 3)(x)))

    assert accuracy(data_of(TRAIN, TEST), coded, answer="codes", matched=True) == 1.0


@pytest.mark.parametrize("answer", ["classes", "codes"])
def test_a_discriminator_without_such_an_answer_is_refused(answer: str, tiny: TrialConfig) -> None:
    with pytest.raises(ValueError, match=f"discriminator_accuracy of {answer} needs an objective .* NonSaturating"):
        DiscriminatorAccuracy(answer=answer).check(tiny, data_of(TRAIN, TEST))


def test_a_discriminator_that_names_classes_or_codes_is_taken(tiny: TrialConfig) -> None:
    DiscriminatorAccuracy().check(override(tiny, {"loss": CatGAN()}), data_of(TRAIN, TEST))
    coded = override(tiny, {"loss": InfoGAN(), "latent": Latent(size=4, categorical=(3,))})
    DiscriminatorAccuracy(answer="codes").check(coded, data_of(TRAIN, TEST))


def test_answers_do_not_depend_on_batches_and_leave_the_network_in_training_mode(tiny: TrialConfig) -> None:
    network = MLPDiscriminator(depth=3, width=8, normalised=True, dropout=0.5)
    config = override(tiny, {"loss": CatGAN(), "discriminator": network})
    state = TrainState.build(config, shape=(1, 16, 16), num_classes=3, device=CPU)
    state.discriminator.train()
    answers = subject(data_of(TRAIN, TEST), evaluator(config, state)).answers
    images = torch.randint(0, 256, (700, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole, small = answers(images, CPU).classes, answers(images, CPU, batch_size=7).classes
    assert whole is not None
    assert whole.shape == (700, 3)
    torch.testing.assert_close(small, whole, rtol=1e-5, atol=1e-6)
    assert state.discriminator.training


# The class that was asked for


def judge(table: dict[int, int]) -> LoadedClassifier:
    columns = torch.zeros(256, dtype=torch.int64)
    for value, label in table.items():
        columns[value] = label

    def forward(x: torch.Tensor) -> Answers:
        logits = torch.nn.functional.one_hot(columns[x[:, 0, 0, 0].long()], 3).float()
        return Answers(logits, logits)

    return LoadedClassifier(
        forward=forward,
        name="greys",
        hash="0",
        channels=1,
        num_classes=3,
        num_features=3,
        device=CPU,
        test_accuracy=0.875,
    )


def requested(values: Sequence[int], labels: list[int] | None, table: dict[int, int], num: int) -> float:
    samples = torch.from_numpy(grey(values)).float() / 127.5 - 1
    asked = None if labels is None else torch.tensor(labels)
    found = Subject(samples, asked, lambda x: Output(), data_of(TRAIN, TEST))
    return RequestedLabelAccuracy(num_samples=num).measure(found, judge(table))["requested_label_accuracy"]


def test_the_share_of_samples_that_show_the_class_asked_for() -> None:
    assert requested([0, 20, 40, 1], [0, 1, 2, 0], {**TRAIN, **TEST}, num=4) == 1.0
    assert requested([0, 0, 40, 1], [0, 1, 2, 2], {**TRAIN, **TEST}, num=4) == 0.5


def test_a_generator_that_ignores_its_label_reaches_one_over_the_number_of_classes() -> None:
    asked = [number % 3 for number in range(30)]
    assert requested([40] * 30, asked, TRAIN, num=30) == pytest.approx(1 / 3)


def test_only_the_first_samples_count() -> None:
    # a metric beside it may need more samples than this one
    assert requested([0, 20, 40, 40], [0, 1, 0, 0], TRAIN, num=2) == 1.0


def test_a_generator_that_is_asked_for_nothing_is_refused(tiny: TrialConfig) -> None:
    with pytest.raises(ValueError, match=r"needs a generator that is asked for a class: set generator\.condition"):
        RequestedLabelAccuracy().check(tiny, data_of(TRAIN, TEST))
    RequestedLabelAccuracy().check(override(tiny, {"generator.condition": "input"}), data_of(TRAIN, TEST))


def test_real_images_score_the_classifiers_test_accuracy() -> None:
    reference = RequestedLabelAccuracy().reference(judge(TRAIN), data_of(TRAIN, TEST))
    assert reference["real_score"] == reference["test_accuracy"] == 0.875


def test_a_conditional_generator_is_asked_for_every_class_in_turn(tiny: TrialConfig) -> None:
    config = override(tiny, {"loss": ACGAN(), "generator.condition": "input"})
    state = TrainState.build(config, shape=(1, 16, 16), num_classes=4, device=CPU)
    drawn = sample(config, state, 10, CPU, batch_size=3)
    assert drawn.labels is not None
    assert drawn.labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    again = sample(config, state, 10, CPU, batch_size=3)
    assert torch.equal(drawn.x, again.x)


# What both say of themselves


@pytest.mark.parametrize("metric", [RequestedLabelAccuracy(), DiscriminatorAccuracy()], ids=repr)
def test_points_have_no_such_score(metric: RequestedLabelAccuracy | DiscriminatorAccuracy, tiny: TrialConfig) -> None:
    points = open_data(SwissRoll(), None, CPU)
    with pytest.raises(ValueError, match=f"{metric.name} needs images, and swiss_roll has none"):
        metric.check(tiny, points)


def test_a_protocol_names_everything_that_the_score_depends_on() -> None:
    asked = RequestedLabelAccuracy(num_samples=7, classifier=TrainedClassifier(width=4)).protocol("abc", weights="ema")
    assert (asked["num_samples"], asked["classifier_hash"], asked["weights"]) == (7, "abc", "ema")
    own = DiscriminatorAccuracy(answer="codes", matched=True).protocol("abc")
    assert (own["answer"], own["matched"], own["data"]) == ("codes", True, "abc")
    for metric in (RequestedLabelAccuracy(), DiscriminatorAccuracy()):
        assert metric.protocol("abc")["metric"] == metric.name == metric.columns[0]
        assert describe(metric)["part"] == type(metric).__name__


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (RequestedLabelAccuracy, {"num_samples": 0}, r"RequestedLabelAccuracy\.num_samples = 0 must be .* >= 1"),
        (DiscriminatorAccuracy, {"answer": "class"}, r"DiscriminatorAccuracy\.answer = 'class' .* 'classes'"),
    ],
)
def test_meaningless_values_are_refused(kind: type, fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**fields)
