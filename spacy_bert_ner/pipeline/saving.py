"""Save and load a component: settings and weights, with checksums of both."""

from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Mapping, Tuple, TypeVar, Union

import srsly
from spacy import util
from spacy.pipeline import TrainablePipe

from ..damage import reading
from ..tagging.calibration import CALIBRATION
from ..tagging.settings import Settings
from .loading import add_checksums, check_fit, read_cfg, read_file
from .settings import CONFIGURED, check_settings, settle_settings

SelfT = TypeVar("SelfT", bound="SavedPipe")


class SavedPipe(TrainablePipe):
    """A component that is saved as two files, `cfg` with its settings and labels, and `model`.
    Loading checks that both are unchanged, and fit each other and the pipeline."""

    cfg: Dict[str, Any]

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Save to bytes.

        exclude (Iterable[str]): Parts to leave out: "cfg", "vocab", "model".
        RETURNS (bytes): The component, for `from_bytes`.
        """
        cfg, model = self._get_parts(exclude)
        getters: Dict[str, Callable[[], Any]] = {
            "cfg": lambda: srsly.json_dumps(cfg),
            "vocab": lambda: self.vocab.to_bytes(exclude=exclude),
            "model": lambda: model,
        }
        data: bytes = util.to_bytes(getters, exclude)
        return data

    def to_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> None:
        """Save to a folder.

        path (Union[str, Path]): The folder.
        exclude (Iterable[str]): Parts to leave out: "cfg", "vocab", "model".
        """
        cfg, model = self._get_parts(exclude)
        writers: Dict[str, Callable[[Path], Any]] = {
            "cfg": lambda file: srsly.write_json(file, cfg),
            "vocab": lambda folder: self.vocab.to_disk(folder, exclude=exclude),
            "model": lambda file: file.write_bytes(model),
        }
        util.to_disk(path, writers, exclude)

    def _get_parts(self, exclude: Iterable[str]) -> Tuple[Dict[str, Any], Any]:
        model = None if "model" in exclude else self.model.to_bytes()
        return add_checksums(self.cfg, model), model

    def from_bytes(self: SelfT, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> SelfT:
        """Load the result of `to_bytes`.

        bytes_data (bytes): The bytes.
        exclude (Iterable[str]): Parts to leave as they are: "cfg", "vocab", "model".
        RETURNS (SavedPipe): The component.
        RAISES (DamagedPipelineError): If a part can't be read, was changed, or doesn't fit another.
        """
        places = {"cfg": f"the cfg of '{self.name}'", "model": f"the model of '{self.name}'"}
        with reading(f"the component '{self.name}'"):
            data = dict(srsly.msgpack_loads(bytes_data))
        util.from_dict(
            data, {"vocab": lambda vocab: self.vocab.from_bytes(vocab, exclude=exclude)}, exclude
        )
        self._load({key: data[key] for key in places if key in data and key not in exclude}, places)
        return self

    def from_disk(self: SelfT, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> SelfT:
        """Load a folder that `to_disk` has written.

        path (Union[str, Path]): The folder.
        exclude (Iterable[str]): Parts to leave as they are: "cfg", "vocab", "model".
        RETURNS (SavedPipe): The component.
        RAISES (DamagedPipelineError): If a part can't be read, was changed, or doesn't fit another.
        """
        files = {key: Path(path) / key for key in ("cfg", "model")}
        parts = {key: read_file(files[key]) for key in files if key not in exclude}
        readers: Dict[str, Callable[[Path], Any]] = {
            "vocab": lambda folder: self.vocab.from_disk(folder, exclude=exclude)
        }
        util.from_disk(path, readers, exclude)
        self._load(parts, {key: str(file) for key, file in files.items()})
        return self

    def _load(self, parts: Mapping[str, Any], places: Mapping[str, str]) -> None:
        """Load settings and weights.

        parts (Mapping[str, Any]): "cfg" (JSON) and "model" (bytes), those that are loaded.
        places (Mapping[str, str]): Their names in messages.
        """
        model = parts.get("model")
        if "cfg" in parts:
            own = {key: value for key, value in self.cfg.items() if key != CALIBRATION}
            cfg = {**own, **read_cfg(parts["cfg"], model, places)}
            settle_settings(self.name, cfg, self.cfg[CONFIGURED])
            with reading(places["cfg"]):
                check_settings(self.name, Settings.from_cfg(cfg))
            self.cfg.pop(CALIBRATION, None)
            self.cfg.update(cfg)
        if model is not None:
            with reading(places["model"]):
                self.model.from_bytes(model)
        if len(parts) == len(places):
            check_fit(self, places)
        # A string that is first added to the vocabulary in a memory zone is removed after it.
        for label in self.cfg["labels"]:
            self.vocab.strings.add(label)
