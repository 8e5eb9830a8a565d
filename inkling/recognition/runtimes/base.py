"""The contract of a runtime: a network as a function of a batch, and the checks that every network must pass."""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from inkling.recognition.card import ModelCard

Network = Callable[[np.ndarray], Sequence[np.ndarray]]  # float32 [n, h, w, c] -> its outputs, each float32 [n, ...]
OUTPUTS = ("probabilities", "familiarity")  # what the outputs of a network are, unless it names them itself
SMALLEST = np.float32(1e-7)  # a probability of 0 has no logarithm


class Answer(NamedTuple):
    """A network's answer to n pictures.

    Attributes:
        probabilities: float32 [n, labels], rows that sum to 1, at temperature 1.
        familiarity: float32 [n], higher for pictures like those of training; None for a network without this output.
        features: float32 [n, d], what other networks continue: the input of the network's last layer, for drawings also
            maps of an earlier one; None for a network without this output.
        parts: float32 [n, h, w, d], such features of overlapping parts of the picture; None likewise.
        anywhere: float32 [n, labels], each label's highest probability in any of these parts; None for a network that
            does not look at parts.
    """

    probabilities: np.ndarray
    familiarity: np.ndarray | None = None
    features: np.ndarray | None = None
    parts: np.ndarray | None = None
    anywhere: np.ndarray | None = None

    def part(self, picked: slice) -> "Answer":
        """The answer to some of the pictures."""
        return Answer(self.probabilities[picked], *(None if rows is None else rows[picked] for rows in self[1:]))


class Answering:
    """A network whose outputs are read as probabilities, familiarity and features.

    The network's attribute `outputs` names them in order. Without it they are those of `OUTPUTS`.

    A call takes float32 [n, height, width, channels], as `inputs.scale` makes it, and returns the probabilities alone:
    float32 [n, labels], rows that sum to 1, at temperature 1.

    Args:
        mirror_below: a picture whose most likely label has a lower probability is also shown mirrored, and gets the
            mean of both answers; None shows each picture once.
    """

    def __init__(self, network: Network, mirror_below: float | None = None):
        self._network, self._mirror_below = network, mirror_below

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return self.answer(batch).probabilities

    def answer(self, batch: np.ndarray) -> Answer:
        """The answer to one batch."""
        return self._with_mirrored(self._look(batch), lambda unsure: self._look(batch[unsure][:, :, ::-1]))

    def _with_mirrored(self, answer: Answer, mirrored: Callable[[np.ndarray], Answer]) -> Answer:
        """The answer, with the mean of both for each picture that is also shown mirrored.

        Args:
            mirrored: bool [n] -> the answer to the mirror images of these pictures.
        """
        if self._mirror_below is None:
            return answer
        unsure = answer.probabilities.max(axis=1) < self._mirror_below
        if not unsure.any():
            return answer
        other = mirrored(unsure)
        answer = answer._replace(probabilities=averaged(answer.probabilities, other.probabilities, unsure))
        if answer.familiarity is not None and other.familiarity is not None:
            answer = answer._replace(familiarity=averaged(answer.familiarity, other.familiarity, unsure))
        return answer

    def _look(self, batch: np.ndarray) -> Answer:
        """The network's answer to one batch."""
        names = getattr(self._network, "outputs", OUTPUTS)
        found = dict(zip(names, self._network(batch), strict=False))
        familiarity = np.asarray(found["familiarity"], np.float32)[:, 0] if "familiarity" in found else None
        return Answer(probabilities(found["probabilities"]), familiarity, found.get("features"), found.get("parts"))


class Runtime(Answering):
    """A model that is ready to answer. Any number of threads may call it at the same time.

    Attributes:
        black: its answer to one black picture.

    Raises:
        ValueError: the network does not take the card's input, does not answer its labels with probabilities, or
            lacks the familiarity output that the card requires.
    """

    def __init__(self, network: Network, card: ModelCard):
        super().__init__(network, card.mirror_below)
        self._card, self._lock = card, threading.Lock()
        self._calls = 0  # calls of `answer_all` in progress
        self._has_batch_memory = False  # a batch of several pictures ran since memory was last released
        self._check()

    def answer_all(self, batches: Iterable[np.ndarray]) -> Answer:
        """The answer to the pictures of all batches. Memory that a batch of several pictures took is released.

        Raises:
            ValueError: the network answered with numbers that are not finite.
            RuntimeError: the library failed.
        """
        with self._lock:
            self._calls += 1
        try:
            answers = []
            for batch in batches:
                if len(batch) > 1:
                    self._has_batch_memory = True
                answers.append(self.answer(batch))
        finally:
            with self._lock:
                self._calls -= 1
                if self._has_batch_memory and not self._calls:  # memory in use cannot be released
                    self._has_batch_memory = False
                    self.release()
        return finite(joined(answers))

    def release(self) -> None:
        """Releases the memory of past batches, where the library keeps it."""

    def reduced_precision(self) -> "Runtime":
        """A copy that answers faster and less exactly; this runtime itself where the library has none."""
        return self

    def _check(self) -> None:
        """Asks the network about one black picture, and compares the answer with the card."""
        spec, labels = self._card.input, len(self._card.labels)
        try:
            self.black = self._answer_black()
            answer, familiarity, *_ = self.black
        except (RuntimeError, TypeError) as error:  # OpenVINO raises the one, TensorFlow the other
            raise ValueError(f"the network does not take {spec.height} x {spec.width} x {spec.channels}") from error
        except IndexError as error:
            raise ValueError(
                "the network must answer a row of labels for each picture, and a row of one as second "
                f"output if it has one. Received: {error}"
            ) from error
        if answer.shape != (1, labels):
            raise ValueError(f"the network must answer {labels} labels. Received: {answer.shape[-1]}")
        if not (answer.min() >= 0 and abs(answer.sum() - 1) < 1e-2):  # also true for NaN
            raise ValueError(f"the network must answer probabilities, not logits. Received: {answer[0, :3].tolist()}")
        if self._card.familiar is not None and familiarity is None:
            raise ValueError("the network must have a second output, as the card says what is familiar")
        finite(self.black)

    def _answer_black(self) -> Answer:
        """The answer to one black picture."""
        spec = self._card.input
        return self.answer(np.zeros((1, spec.height, spec.width, spec.channels), np.float32))


class HeadRuntime(Runtime):
    """A model whose network continues another one's: it takes the features of its backbone instead of pictures.

    Args:
        head: float32 [n, d] features -> its outputs, each float32 [n, ...].
        backbone: the runtime that makes the features.

    Raises:
        ValueError: the backbone makes no features, or as `Runtime`.
    """

    def __init__(self, head: Network, backbone: Runtime, card: ModelCard):
        self.backbone = backbone
        super().__init__(head, card)

    def answer(self, batch: np.ndarray) -> Answer:
        return self.continued(
            self.backbone.answer(batch), lambda unsure: self.backbone.answer(batch[unsure][:, :, ::-1])
        )

    def _answer_black(self) -> Answer:
        return self.continued(self.backbone.black, lambda _: self.backbone.black)

    def continued(self, seen: Answer, mirrored: Callable[[np.ndarray], Answer]) -> Answer:
        """The answer to pictures that the backbone has answered.

        The network is also asked about their parts if the card has a limit for what they may show.

        Args:
            mirrored: bool [n] -> the backbone's answer to the mirror images of these pictures.

        Raises:
            ValueError: the backbone makes no features, or the network answered with numbers that are not finite.
        """
        answer = self._with_mirrored(self._of(seen), lambda unsure: self._of(mirrored(unsure)))
        if seen.parts is not None and self._card.elsewhere is not None:
            parts = self._look(seen.parts.reshape(-1, seen.parts.shape[-1])).probabilities
            answer = answer._replace(anywhere=parts.reshape(len(seen.parts), -1, parts.shape[1]).max(axis=1))
        return finite(answer)

    def _of(self, seen: Answer) -> Answer:
        """The network's answer to the features that the backbone has made."""
        if seen.features is None:
            raise ValueError("its backbone has no output named features")
        return self._look(seen.features)

    def release(self) -> None:
        self.backbone.release()

    def reduced_precision(self) -> Runtime:
        """A copy whose backbone answers faster and less exactly."""
        faster = self.backbone.reduced_precision()
        return self if faster is self.backbone else HeadRuntime(self._network, faster, self._card)


def joined(answers: Sequence[Answer]) -> Answer:
    """One answer to the pictures of several; an output that one of them lacks is left out."""
    if len(answers) == 1:
        return answers[0]
    probabilities, *others = zip(*answers, strict=True)
    return Answer(
        np.concatenate(probabilities),
        *(None if any(part is None for part in rows) else np.concatenate(rows) for rows in others),
    )


def finite(answer: Answer) -> Answer:
    """The answer itself.

    Raises:
        ValueError: some of its numbers are not finite.
    """
    if not all(np.isfinite(values).all() for values in answer if values is not None):
        raise ValueError("the network answered with numbers that are not finite")
    return answer


def averaged(values: np.ndarray, others: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The values of n pictures, with the mean of both in the rows `where`, bool [n], for which there are `others`."""
    means = values.copy()
    means[where] = (means[where] + others) / 2
    return means


def probabilities(outputs: np.ndarray) -> np.ndarray:
    """Network outputs [n, labels], or [n, 1] of one sigmoid, as float32 [n, labels]."""
    outputs = np.asarray(outputs, np.float32)
    return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Temperature scaling (Guo et al. 2017) of float [n, labels]; equals softmax(logits / temperature)."""
    logits = np.log(np.maximum(probabilities, SMALLEST)) / np.float32(temperature)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
