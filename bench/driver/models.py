"""The random models that are measured, made once and kept."""

import json
import os
import subprocess


def path_of(models_dir, shape, type_):
    return os.path.join(models_dir, f"{shape}-{type_}.gguf")


def ensure(make_gguf, models_dir, shape, type_):
    """Path and sizes of the model; written first when it is not there."""
    path = path_of(models_dir, shape, type_)
    description = path + ".json"
    if not (os.path.exists(path) and os.path.exists(description)):
        os.makedirs(models_dir, exist_ok=True)
        made = subprocess.run(
            [make_gguf, "--shape", shape, "--type", type_, path],
            check=True, stdout=subprocess.PIPE,
        )
        with open(description, "wb") as out:
            out.write(made.stdout)
    with open(description) as sizes:
        return path, json.load(sizes)
