"""The encoder as a shim of thinc: updates, devices and bytes."""

import copy
import os
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, Dict, Iterator, List, Optional, Tuple, cast

import srsly
import torch
from thinc.api import Optimizer, PyTorchGradScaler, get_torch_default_device, torch2xp, xp2torch
from thinc.shims import PyTorchShim, Shim

from ...damage import reading
from ..optimizers import LayeredAdam
from .backward import Backward
from .batches import Batch
from .blocks import add_noise, check_mixed_layers, freeze, get_depths
from .devices import shares_memory, wait_for
from .fused_adam import Params, is_adam, step_adam
from .halving import Halving
from .huggingface import (
    Encoder,
    encoder_from_bytes,
    encoder_to_bytes,
    get_limit,
    get_place,
    get_rows,
)
from .precision import check_precision, computing, name_precision
from .tokenizer import PieceTokenizer

# The threads of a pool don't exist after a fork: in a child process of nlp.pipe(n_process=2), torch
# would wait for them forever. One thread per process also leaves the other cores to the other
# processes.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


class EncoderShim(PyTorchShim):
    """A Hugging Face encoder with its tokenizer. Differs from PyTorchShim in what it saves
    (safetensors, nothing pickled), in clipping gradients by one norm over all its tensors, and in
    leaving the module in evaluation mode after prediction.

    transformer_config (Dict[str, Any]): Settings of the encoder's config.
    freeze_layers (Optional[int]): Exclude embeddings and this many blocks from training.
    mixed_layers (int): Blocks, from the last, whose outputs are averaged.
    embedding_noise (float): Size of the noise on embeddings in training, see `TransformerModel.v1`.
    precision (str): Precision of the computation, see `TransformerModel.v1`.
    grad_scaler_config (Dict[str, Any]): Settings of thinc's PyTorchGradScaler.
    """

    def __init__(
        self,
        *,
        transformer_config: Dict[str, Any],
        freeze_layers: Optional[int],
        mixed_layers: int,
        embedding_noise: float,
        precision: str,
        grad_scaler_config: Dict[str, Any],
    ):
        check_precision(precision)
        # Gradients of fp16 would vanish without scaling. fp16 is for GPUs: thinc's scaler accepts
        # no other tensors.
        scales = precision == "fp16" and get_torch_default_device().type == "cuda"
        scaler = PyTorchGradScaler(**{"enabled": scales, **grad_scaler_config})
        super().__init__(None, grad_scaler=scaler)
        self.grad_scaler = scaler
        self.precision = precision
        self.transformer_config = transformer_config
        self.freeze_layers = freeze_layers
        self.mixed_layers = mixed_layers
        self.embedding_noise = embedding_noise
        self.encoder: Optional[Encoder] = None
        self.halving = Halving()
        self._scales: Dict[float, Dict[str, float]] = {}

    def set_encoder(self, encoder: Encoder, *, is_saved: bool = False) -> None:
        """Use an encoder that was loaded, on the device of the current ops.

        encoder (Encoder): The encoder.
        is_saved (bool): Whether it comes from a saved pipeline.
        RAISES (ValueError): For settings that it doesn't fit. DamagedPipelineError: For a saved
            tokenizer that can't be used.
        """
        with reading(get_place("tokenizer")) if is_saved else nullcontext():
            self.pieces = PieceTokenizer.from_huggingface(
                encoder.tokenizer, get_rows(encoder.model)
            )
            self.limit = get_limit(encoder)
            self.pad_id = int(encoder.tokenizer.pad_token_id or 0)
        self.encoder = encoder
        self._scales = {}
        if self.freeze_layers is not None:
            freeze(encoder.model, self.freeze_layers)
        check_mixed_layers(encoder.model, self.mixed_layers)
        if self.embedding_noise:
            add_noise(encoder.model, self.embedding_noise)
        self._model = encoder.model.to(get_torch_default_device()).eval()

    @property
    def used_precision(self) -> str:
        """RETURNS (str): "fp32", "bf16" or "fp16": the precision of predictions on the device."""
        return name_precision(self.precision, self.device)

    def wait(self) -> None:
        """Wait until all that was started on the device is done, to measure its time."""
        wait_for(self.device)

    def encode(self, batch: Batch) -> torch.Tensor:
        """Run the encoder to predict.

        batch (Batch): Windows.
        RETURNS (torch.Tensor): Vectors of wordpieces, float32, (n_windows, longest, width).
        """
        self._model.eval()
        with torch.inference_mode():
            return self._forward(*self._inputs(batch))

    def encode_for_update(self, batch: Batch, *, keep: bool) -> Tuple[torch.Tensor, Backward]:
        """As `encode`, in training mode.

        batch (Batch): Windows.
        keep (bool): Keep the activations for the backward pass, see `Backward.encode`.
        RETURNS (Tuple[torch.Tensor, Backward]): float32, (n_windows, longest, width), and the
            backward pass, for `backward`.
        """
        run = partial(self._forward, *self._inputs(batch))
        backward = Backward(self._model, batch.ids.size, run, self.device)
        return backward.encode(keep=keep), backward

    def backward(self, backward: Backward, gradient: torch.Tensor, others: List[Backward]) -> None:
        """Add to the gradients of the weights, see `Halving.backward`.

        backward (Backward): The backward pass of a micro-batch.
        gradient (torch.Tensor): Of its output, float32, (n_windows, longest, width). Changed.
        others (List[Backward]): Those of this step that come after it.
        """
        (scaled,) = self.grad_scaler.scale([gradient], inplace=True)
        self.halving.backward(backward, scaled, others)

    def finish_update(self, optimizer: Optimizer) -> None:
        """Update the weights with the gradients accumulated since the last update, clipped by one
        norm over all of them (torch.nn.utils.clip_grad_norm_), and set the gradients to zero.

        optimizer (Optimizer): Updates the weights.
        """
        trained = [
            (name, param)
            for name, param in self._model.named_parameters()
            if param.grad is not None
        ]
        gradients = [param.grad for _, param in trained]
        if gradients and not self.grad_scaler.unscale(gradients):
            clip = getattr(optimizer, "grad_clip", 0.0)
            if clip:
                torch.nn.utils.clip_grad_norm_([param for _, param in trained], clip)
            scales = self._get_scales(optimizer)
            if is_adam(optimizer) and shares_memory(self.device):
                step_adam(optimizer, self.id, trained, scales)
            else:
                self._step_each(optimizer, trained, scales)
        for _, param in trained:
            param.grad = None
        self.grad_scaler.update()

    def _get_scales(self, optimizer: Optimizer) -> Dict[str, float]:
        """Factors on the learning rate of tensors, by the number of blocks above them."""
        if not isinstance(optimizer, LayeredAdam) or optimizer.layer_decay == 1.0:
            return {}
        decay = optimizer.layer_decay
        if decay not in self._scales:
            depths = get_depths(self._model)
            self._scales[decay] = {name: decay**depth for name, depth in depths.items()}
        return self._scales[decay]

    def _step_each(self, optimizer: Optimizer, trained: Params, scales: Dict[str, float]) -> None:
        # Not with the factor that LayeredAdam has for heads.
        layered = isinstance(optimizer, LayeredAdam)
        step = partial(Optimizer.__call__, optimizer) if layered else optimizer
        with _without_clipping(optimizer):
            for name, param in trained:
                scale = {"lr_scale": scales[name]} if name in scales else {}
                weights, _ = step(
                    (self.id, name),
                    torch2xp(param.data),  # type: ignore[arg-type]
                    torch2xp(param.grad),  # type: ignore[arg-type]
                    **scale,
                )
                param.data = xp2torch(weights, device=param.device)

    @contextmanager
    def use_params(self, params: Dict[Any, Any]) -> Iterator[None]:
        """Use an optimizer's averages of weights instead of the weights. PyTorchShim doesn't find
        them, since it looks for keys other than those that its own updates use.

        params (Dict[Any, Any]): Arrays by the keys of the optimizer.
        YIELDS (None): While the averages are used.
        """
        backup = {}
        for name, param in self._model.named_parameters():
            if (self.id, name) in params:
                backup[name] = param.data
                average = xp2torch(params[self.id, name], device=param.device)
                param.data = average.view(param.shape)
        try:
            yield
        finally:
            for name, data in backup.items():
                self._model.get_parameter(name).data = data

    def copy(self) -> "EncoderShim":
        """RETURNS (EncoderShim): A copy with its own id, for optimizers."""
        copied = copy.deepcopy(self)
        with Shim.global_id_lock:
            Shim.global_id += 1
            copied.id = Shim.global_id
        return copied

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): The encoder, see `encoder_to_bytes`; empty if it has none."""
        data = encoder_to_bytes(self.encoder) if self.encoder else {}
        return cast(bytes, srsly.msgpack_dumps(data))

    def from_bytes(self, bytes_data: bytes) -> "EncoderShim":
        """Load the result of `to_bytes`.

        bytes_data (bytes): The encoder.
        RETURNS (EncoderShim): This object.
        RAISES (DamagedPipelineError): For bytes that can't be read, and for an encoder that can't
            be used.
        """
        with reading(get_place("bytes")):
            data = srsly.msgpack_loads(bytes_data)
        if data != {}:
            encoder = encoder_from_bytes(data, self.transformer_config)
            self.set_encoder(encoder, is_saved=True)
        return self

    def _inputs(self, batch: Batch) -> Any:
        device = self.device
        return (
            torch.from_numpy(batch.ids).to(device),
            torch.from_numpy(batch.mask).to(device),
        )

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        with computing(self.precision, self.device, is_train=self._model.training):
            return get_vectors(self._model, ids, mask, self.mixed_layers)


def get_vectors(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, mixed_layers: int
) -> torch.Tensor:
    """Run an encoder.

    model (PreTrainedModel): The encoder.
    ids, mask (torch.Tensor): Vocabulary ids, and 1 for wordpieces and 0 for padding, int64,
        (n_windows, longest).
    mixed_layers (int): Blocks, from the last, whose outputs are averaged.
    RETURNS (torch.Tensor): Vectors of wordpieces, float32, (n_windows, longest, width).
    """
    output = model(
        input_ids=ids,
        attention_mask=mask,
        return_dict=True,
        output_hidden_states=mixed_layers > 1,
    )
    if mixed_layers > 1:
        return torch.stack(output.hidden_states[-mixed_layers:]).float().mean(dim=0)
    return cast(torch.Tensor, output.last_hidden_state.float())


@contextmanager
def _without_clipping(optimizer: Optimizer) -> Iterator[None]:
    clip = getattr(optimizer, "grad_clip", None)
    if not clip:
        yield
        return
    optimizer.grad_clip = 0.0
    try:
        yield
    finally:
        optimizer.grad_clip = clip
