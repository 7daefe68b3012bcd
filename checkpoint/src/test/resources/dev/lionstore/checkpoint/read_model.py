"""Reads a model's folder as its users do: from the public description of safetensors and of Hugging Face's index.

A file is eight bytes with the header's length, little-endian, the header as JSON in UTF-8, and the data that the
header's offsets count from. model.safetensors.index.json says in "weight_map" which file holds which tensor.
Prints a line of JSON for each tensor: name, dtype, shape and the SHA-256 of its bytes.
"""

import hashlib
import json
import math
import os
import struct
import sys

BITS = {"BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16}
BITS.update({"I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64})


def read_tensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length).decode("utf-8"))
        for name, tensor in header.items():
            if name != "__metadata__":
                begin, end = tensor["data_offsets"]
                file.seek(8 + length + begin)
                data = file.read(end - begin)
                expected = math.prod(tensor["shape"]) * BITS[tensor["dtype"]] // 8
                if len(data) != expected:
                    sys.exit(f"{path}: {name} has {len(data)} bytes, expected {expected}")
                yield name, tensor["dtype"], tensor["shape"], hashlib.sha256(data).hexdigest()


def read_model(folder):
    single = os.path.join(folder, "model.safetensors")
    if os.path.exists(single):
        yield from read_tensors(single)
        return
    with open(os.path.join(folder, "model.safetensors.index.json"), encoding="utf-8") as file:
        places = json.load(file)["weight_map"]
    for shard in sorted(set(places.values())):
        for tensor in read_tensors(os.path.join(folder, shard)):
            if places.pop(tensor[0]) != shard:
                sys.exit(f"{shard}: {tensor[0]} is in another file, says the index")
            yield tensor
    if places:
        sys.exit(f"no file holds {sorted(places)}")


for line in read_model(sys.argv[1]):
    print(json.dumps(line))
