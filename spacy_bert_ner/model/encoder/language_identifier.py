"""Compare texts with languages, by the vectors of an encoder (Wu et al. 2020, 2004.12440)."""

from typing import Callable, Iterable, NamedTuple, Sequence

import numpy
import torch
from torch.nn.functional import cross_entropy

from ...types import Floats2d

LEARN_RATE = 1e-4
WEIGHT_DECAY = 1e-5
BATCH_SIZE = 32

# Scores of vectors, (n_texts, width), for languages, (n_texts, n_languages).
ScorerT = Callable[[Floats2d], Floats2d]
# Yields the items that it is given, and shows the progress.
FollowT = Callable[[Iterable[int]], Iterable[int]]


class IdentifierSettings(NamedTuple):
    """Settings for learning to distinguish languages.

    rank (int): Width of the vectors that are compared.
    gamma (float): Weight of the penalty that keeps the vectors of languages apart.
    epochs (int): How often to go through the texts.
    seed (int): Seed for the initial layers and for the order of the texts.
    """

    rank: int = 64
    gamma: float = 0.01
    epochs: int = 10
    seed: int = 0


class LanguageIdentifier(torch.nn.Module):
    """Compares texts with languages: the score of vector f for language l is U f · V m, where m is
    a vector of the language, initialized with the mean of the vectors of its texts."""

    def __init__(self, means: torch.Tensor, rank: int):
        """Initialize the layers at random.

        means (torch.Tensor): Mean vectors of the languages, float32, (n_languages, width).
        rank (int): See `IdentifierSettings`.
        """
        super().__init__()
        self.U = torch.nn.Linear(means.shape[1], rank)
        self.V = torch.nn.Linear(means.shape[1], rank)
        self.languages = torch.nn.Parameter(means)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """RETURNS (torch.Tensor): Scores, float32, (n_texts, n_languages).

        X (torch.Tensor): Vectors of texts, float32, (n_texts, width).
        """
        scores: torch.Tensor = self.U(X) @ self.V(self.languages).T
        return scores

    def get_penalty(self) -> torch.Tensor:
        """Measure how far the vectors of the languages are from length 1 and right angles between
        them: ||M M^T - I||² for M of (n_languages, width). The paper's ||M^T M - I||² over the
        width is larger by the constant width - n_languages, and has the same gradient.

        RETURNS (torch.Tensor): The penalty, float32, ().
        """
        gram = self.languages @ self.languages.T
        return (gram - torch.eye(len(gram))).square().sum()


def fit_identifier(
    features: Sequence[Floats2d], settings: IdentifierSettings, follow: FollowT = iter
) -> ScorerT:
    """Learn to distinguish languages. Vectors are centered and scaled first: those of encoders such
    as E5 have so much in common that there would be little to learn from.

    features (Sequence[Floats2d]): By language, vectors of texts, (n_texts, width).
    settings (IdentifierSettings): How to learn.
    follow (Callable[[Iterable[int]], Iterable[int]]): Shows the progress over epochs.
    RETURNS (Callable[[Floats2d], Floats2d]): Gives the scores of other vectors.
    """
    center = numpy.mean([X.mean(axis=0) for X in features], axis=0)
    scale = numpy.concatenate(list(features)).std(axis=0)
    scale = numpy.where(scale > 0.0, scale, 1.0)

    def prepare(X: Floats2d) -> torch.Tensor:
        return torch.from_numpy(((X - center) / scale).astype("float32"))

    groups = [prepare(X) for X in features]
    X = torch.cat(groups)
    Y = torch.repeat_interleave(torch.tensor([len(group) for group in groups]))
    with torch.random.fork_rng([]):
        torch.manual_seed(settings.seed % 2**63)  # torch takes no larger one
        means = torch.stack([group.mean(dim=0) for group in groups])
        model = LanguageIdentifier(means, settings.rank)
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARN_RATE, weight_decay=WEIGHT_DECAY)
        for _ in follow(range(settings.epochs)):
            for rows in torch.randperm(len(X)).split(BATCH_SIZE):
                loss = cross_entropy(model(X[rows]), Y[rows])
                optimizer.zero_grad()
                (loss + settings.gamma * model.get_penalty()).backward()
                optimizer.step()

    def get_scores(X: Floats2d) -> Floats2d:
        with torch.inference_mode():
            scores: Floats2d = model(prepare(X)).numpy()
        return scores

    return get_scores
