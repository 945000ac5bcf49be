#!/usr/bin/env python3
"""Writes tests/quant/goldens.bin: blocks of every quantised type and what they dequantise to.

Usage: make_quant_goldens.py MODEL.safetensors OUT   (needs gguf, numpy, safetensors, torch, libggml)

For each type two records: blocks of random bytes (so also infinite and undefined scales) and the
first weights of the model's first MLP as ggml quantises them. A record is the number of the type
in GGUF and the number of elements (both u32), the blocks, and the elements as the gguf module
dequantises them (f32), all little-endian.
"""
import ctypes
import struct
import sys

import gguf
import numpy as np
from safetensors import safe_open

TYPES = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL",
         "IQ4_XS", "MXFP4")
ELEMENTS = 512


def quantize(ggml, values, number, size):
    blocks = np.zeros(size, dtype=np.uint8)
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    written = ggml.ggml_quantize_chunk(
        ctypes.c_int(number), values.ctypes.data_as(ctypes.c_void_p),
        blocks.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(0), ctypes.c_int64(1),
        ctypes.c_int64(values.size), None)
    assert written == size, (number, written, size)
    return blocks


def main():
    ggml = ctypes.CDLL("libggml-base.so.0")
    with safe_open(sys.argv[1], "pt") as model:
        name = "model.layers.0.mlp.down_proj.weight"
        weights = model.get_tensor(name).float().numpy().ravel()[:ELEMENTS].copy()
    random = np.random.default_rng(3)
    with open(sys.argv[2], "wb") as out:
        for name in TYPES:
            kind = gguf.GGMLQuantizationType[name]
            block_elements, block_size = gguf.GGML_QUANT_SIZES[kind]
            size = ELEMENTS // block_elements * block_size
            noise = random.integers(0, 256, size, dtype=np.uint8)
            for blocks in (noise, quantize(ggml, weights, int(kind), size)):
                with np.errstate(all="ignore"):
                    values = gguf.dequantize(blocks.reshape(1, size), kind).astype("<f4")
                assert values.size == ELEMENTS
                out.write(struct.pack("<II", int(kind), ELEMENTS) + blocks.tobytes()
                          + values.tobytes())


main()
