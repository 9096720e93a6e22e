"""Balance the gradients of the components that train one encoder."""

from functools import partial
from math import exp, log
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Tuple

from spacy.language import Language
from spacy.training import Example
from thinc.api import Model, Optimizer

from .listener_kinds import wrap_callback

# The share of the previous steps in a running mean.
DECAY = 0.99
# Size of another component's gradient, with a `grad_factor` of 1, relative to that of `bert_ner`.
# At 1.0, `bert_ner` loses F1 on small corpora (benchmarks/neighbours.py).
SIZE = 0.4


class Gradient(NamedTuple):
    """The gradient of a listener, kept until all listeners have passed theirs to the encoder.

    name (str): The component that the listener is part of.
    factor (float): The listener's `grad_factor`, by which the arrays are already multiplied.
    arrays (List[Any]): The gradient, floats on any device.
    accumulate (Callable[[], Any]): Passes the arrays to the encoder.
    """

    name: str
    factor: float
    arrays: List[Any]
    accumulate: Callable[[], Any]


class GradientBalance:
    """Adds the gradients of the components that listen to one encoder, after scaling each to 0.4
    times the size of the gradient of the first `bert_ner` among them.

    A component's loss may be a sum over tokens (tagger, parser), a mean over tokens (bert_ner) or
    over documents (textcat). If they were added as they are, the largest gradient, hundreds of
    times the smallest, would decide what the encoder learns, since clipping and Adam ignore the
    scale of the sum. So each is divided by the geometric mean of its own norms, a running mean over
    about 100 steps, and multiplied by 0.4 of that of `bert_ner`, whose gradient stays as it is. A
    few large gradients, such as the first ones of a spancat, hardly change a geometric mean. A
    component's `grad_factor` then is its weight: with 2.5, its gradient is as large as that of
    `bert_ner`.

    Adam divides a step by the size of the sum, so that `bert_ner` would change the encoder less
    than it does alone. So the encoder's learning rate is multiplied by the size that the sum of
    independent gradients would have, divided by the size of that of `bert_ner`: by 1.08 with one
    other component.

    An encoder without a `bert_ner` among its listeners, or without any other listener, is trained
    as usual.
    """

    def __init__(self, upstream: Any, standard: type):
        """Replace the methods of an encoder's component that find listeners and pass them their
        callbacks.

        upstream (Any): The component: a transformer, curated_transformer or tok2vec.
        standard (type): Class of the components whose gradients stay as they are.
        """
        self.upstream = upstream
        self.standard = standard
        self.components: Dict[str, Any] = {}
        self.means: Dict[str, Tuple[float, float]] = {}  # by component: sum of logs, of weights
        self.waiting: List[Gradient] = []
        self.rate_factor = 1.0  # of the encoder's learning rate
        upstream.update = self.update
        upstream.finish_update = self.finish_update
        upstream.find_listeners = self.find_listeners

    def find_listeners(self, component: Any) -> None:
        """Replaces the method of the encoder's component.

        component (Any): A component, which may have listeners.
        """
        if isinstance(getattr(component, "model", None), Model):
            self.components[component.name] = component
        type(self.upstream).find_listeners(self.upstream, component)

    def update(self, examples: Iterable[Example], **settings: Any) -> Dict[str, float]:
        """Replaces the method of the encoder's component.

        examples (Iterable[Example]): A batch.
        settings (Any): `drop`, `sgd` and `losses`.
        RETURNS (Dict[str, float]): The losses.
        """
        losses: Dict[str, float] = type(self.upstream).update(self.upstream, examples, **settings)
        self.waiting.clear()
        names = self.upstream.listening_components
        standards = [name for name in names if isinstance(self.components[name], self.standard)]
        if not standards or len(names) < 2:
            self.rate_factor = 1.0
            return losses
        listeners = [(name, node) for name in names for node in self.upstream.listener_map[name]]
        for name, listener in listeners:
            receive = partial(
                self._receive,
                name=name,
                factor=get_grad_factor(self.components[name].model, listener),
                standard=standards[0],
                is_last=listener is listeners[-1][1],
            )
            wrap_callback(listener, receive)
        return losses

    def finish_update(self, sgd: Optimizer) -> None:
        """Replaces the method of the encoder's component. spaCy calls it before the listeners of a
        batch have passed their gradients: it updates with the gradients of the previous batch.

        sgd (Optimizer): Updates the encoder.
        """
        finish_update = partial(type(self.upstream).finish_update, self.upstream)
        if self.rate_factor == 1.0:  # any optimizer will do
            finish_update(sgd)
            return
        learn_rate = sgd.learn_rate
        sgd.learn_rate = self.rate_factor * learn_rate
        try:
            finish_update(sgd)
        finally:
            sgd.learn_rate = learn_rate

    def _receive(
        self,
        gradient: Any,
        *,
        callback: Callable[..., Any],
        name: str,
        factor: float,
        standard: str,
        is_last: bool,
        **settings: Any,
    ) -> Any:
        """Receive the gradient of a listener instead of the encoder's component.

        callback (Callable): The callback of the encoder's component.
        settings (Any): Further arguments of the callback.
        RETURNS (Any): What the callback returns.
        """
        accumulate = partial(callback, gradient, **settings)
        self.waiting.append(Gradient(name, factor, list(_get_arrays(gradient)), accumulate))
        if not is_last:
            return []
        self._scale(standard)
        results = [gradient.accumulate() for gradient in self.waiting]
        self.waiting.clear()
        return results[-1]

    def _scale(self, standard: str) -> None:
        """Scale the waiting gradients to that of a component, in place."""
        norms = self._measure()
        scales = {name: exp(total / weight) for name, (total, weight) in self.means.items()}
        if standard not in scales:
            return
        # The weight of each: its `grad_factor`, times SIZE for all but the standard.
        worth = {
            gradient.name: gradient.factor * (1.0 if gradient.name == standard else SIZE)
            for gradient in self.waiting
            if gradient.name in scales
        }
        if worth.get(standard):
            self.rate_factor = sum(size**2 for size in worth.values()) ** 0.5 / worth[standard]
        for gradient in self.waiting:
            if gradient.name in scales and gradient.name != standard:
                # No step is larger than the average of the steps before it: a head of zeros has
                # gradients near zero at first.
                scale = max(scales[gradient.name], norms.get(gradient.name, 0.0))
                for array in gradient.arrays:
                    array *= SIZE * scales[standard] / scale

    def _measure(self) -> Dict[str, float]:
        """Add the waiting gradients to the running means.

        RETURNS (Dict[str, float]): Their norms by component, without `grad_factor`.
        """
        squares: Dict[str, float] = {}
        for gradient in self.waiting:
            if gradient.factor:
                square = sum(float((array**2).sum()) for array in gradient.arrays)
                squares.setdefault(gradient.name, 0.0)
                squares[gradient.name] += square / gradient.factor**2
        norms = {name: square**0.5 for name, square in squares.items()}
        for name, norm in norms.items():
            if norm:  # a batch without annotation gives no information about the scale
                total, weight = self.means.get(name, (0.0, 0.0))
                self.means[name] = (DECAY * total + log(norm), DECAY * weight + 1.0)
        return norms


def balance_gradients(nlp: Language, standard: type) -> None:
    """Balance the gradients at each encoder of a pipeline, see `GradientBalance`.

    nlp (Language): The pipeline.
    standard (type): Class of the components whose gradients stay as they are.
    """
    pipes: List[Any] = [pipe for _, pipe in nlp.components]
    for pipe in pipes:
        if not hasattr(pipe, "listener_map"):
            continue
        balance = getattr(pipe.update, "__self__", None)
        if not isinstance(balance, GradientBalance):
            balance = GradientBalance(pipe, standard)
        balance.components.update(nlp.components)


def get_grad_factor(model: Model[Any, Any], listener: Model[Any, Any]) -> float:
    """Get the `grad_factor` of a listener.

    model (Model): A component's model.
    listener (Model): A layer of it.
    RETURNS (float): The `grad_factor` of the listener, 1 if it has none.
    """
    if "grad_factor" in listener.attrs:
        return float(listener.attrs["grad_factor"])
    for node in model.walk():
        if listener in node.layers:
            for layer in node.layers:
                if "grad_factor" in layer.attrs:
                    return float(layer.attrs["grad_factor"])
    return 1.0


def _get_arrays(gradient: Any) -> Iterator[Any]:
    """The arrays of a gradient as listeners pass it: TransformerData, Ragged or arrays, in
    lists."""
    if isinstance(gradient, (list, tuple)):
        for item in gradient:
            yield from _get_arrays(item)
    elif hasattr(gradient, "tensors"):
        yield from _get_arrays(gradient.tensors)
    elif hasattr(gradient, "dataXd"):
        yield gradient.dataXd
    else:
        yield gradient
