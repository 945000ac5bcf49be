#!/usr/bin/env python3
"""Writes tests/gguf: small files by the gguf module, which the reader and the writer are held to.

Usage: make_gguf_goldens.py OUT_DIR        (needs gguf and numpy)

values.gguf has a value of every type and tensors of plain and quantised types; big-endian.gguf the
same in the other order of bytes; shards-NNNNN-of-00004.gguf the same in four files; written.gguf
has what the writer can make itself, byte for byte.
"""
import pathlib
import sys

import gguf
import numpy as np


def add_values(writer):
    writer.add_uint8("value.u8", 200)
    writer.add_int8("value.i8", -100)
    writer.add_uint16("value.u16", 60000)
    writer.add_int16("value.i16", -30000)
    writer.add_uint32("value.u32", 4000000000)
    writer.add_int32("value.i32", -2000000000)
    writer.add_uint64("value.u64", 9000000000000000000)
    writer.add_int64("value.i64", -9000000000000000000)
    writer.add_float32("value.f32", 0.1)
    writer.add_float64("value.f64", 0.1)
    writer.add_bool("value.bool", True)
    writer.add_string("value.text", "h\u00e9llo")
    writer.add_array("array.texts", ["", "a", "\u2581b"])
    writer.add_array("array.i32", [1, -2, 3])
    writer.add_array("array.f32", [0.5, -1.5])
    writer.add_array("array.bool", [True, False])


def add_writable_values(writer):
    writer.add_uint32("value.u32", 7)
    writer.add_int32("value.i32", -7)
    writer.add_uint64("value.u64", 1 << 40)
    writer.add_float32("value.f32", 0.1)
    writer.add_bool("value.bool", False)
    writer.add_string("value.text", "h\u00e9llo")
    writer.add_array("array.i32", [1, -2, 3])
    writer.add_array("array.f32", [0.5, -1.5])
    writer.add_array("array.texts", ["", "a", "\u2581b"])


def add_tensors(writer):
    writer.add_tensor("plain.f32", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor("plain.f16", np.arange(5, dtype=np.float16))
    ramp = np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 64)
    for name in ("BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"):
        kind = gguf.GGMLQuantizationType[name]
        writer.add_tensor("ramp." + name, gguf.quantize(ramp, kind), raw_dtype=kind)


def write(path, order=gguf.GGUFEndian.LITTLE, values=add_values, **options):
    writer = gguf.GGUFWriter(path, "llama", endianess=order, **options)
    values(writer)
    add_tensors(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    out = pathlib.Path(sys.argv[1])
    write(out / "values.gguf")
    write(out / "big-endian.gguf", gguf.GGUFEndian.BIG)
    write(out / "shards.gguf", split_max_tensors=2)
    write(out / "written.gguf", values=add_writable_values)


main()
