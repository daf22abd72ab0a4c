"""However an e5 file is damaged, reading it ends: in a folder, or in a refusal."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from rag.models.e5_file import Malformed, unpack
from tests.model_files import e5_file

WHOLE, _ = e5_file()


@settings(max_examples=60, deadline=None)
@given(
    at=st.integers(0, len(WHOLE) - 1),
    byte=st.integers(0, 255),
    keep=st.one_of(st.just(len(WHOLE)), st.integers(0, len(WHOLE))),
)
def test_a_damaged_file_is_refused_or_gives_finite_weights(at: int, byte: int, keep: int) -> None:
    data = bytearray(WHOLE)
    data[at] = byte
    with tempfile.TemporaryDirectory() as name:
        source, folder = Path(name, "e5.bin"), Path(name, "folder")
        source.write_bytes(bytes(data[:keep]))
        folder.mkdir()
        try:
            unpack(source, folder)
        except Malformed:
            return
        weights = load_file(folder / "model.safetensors")
        assert all(np.isfinite(values).all() for values in weights.values())
