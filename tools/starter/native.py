"""The native training step (native/starter_step.h) behind Python: gradients, update, logits."""
import ctypes
import os

import torch


class _Shape(ctypes.Structure):
    _fields_ = ([(name, ctypes.c_int32) for name in
                 ("vocab", "hidden", "inner", "layers", "heads", "kv_heads", "head_dim")]
                + [("rope_theta", ctypes.c_float), ("norm_eps", ctypes.c_float)]
                + [(name, ctypes.c_int32) for name in ("threads", "tokens", "length", "backward")])


def _load(path):
    library = ctypes.CDLL(os.path.abspath(path))
    pointer, integer = ctypes.c_void_p, ctypes.c_int32
    signatures = {
        "error": (ctypes.c_char_p, ()),
        "create": (pointer, (ctypes.POINTER(_Shape), pointer, ctypes.c_int64)),
        "destroy": (None, (pointer,)),
        "weights_changed": (None, (pointer,)),
        "gradient": (integer, (pointer, pointer, pointer, pointer, pointer, integer, integer, pointer)),
        "read_gradient": (None, (pointer, pointer)),
        "write_gradient": (None, (pointer, pointer)),
        "update": (None, (pointer, pointer, pointer, ctypes.c_int64, ctypes.c_float)),
        "logits": (integer, (pointer, pointer, integer, pointer)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, "starter_step_" + name)
        function.restype, function.argtypes = result, arguments
    return library


class NativeStep:
    """A LanguageModel whose parameters live in one array that the library reads and writes.

    The model's parameters become views of that array, so its state_dict stays right.
    """

    def __init__(self, library, model, tokens, length, threads=2, train=True):
        """library: path of libstarter_step.so; tokens and length: limits of a step and of a row."""
        self._library = _load(library)
        parameters = list(model.parameters())
        self.flat = torch.cat([p.detach().reshape(-1) for p in parameters]).contiguous()
        at = 0
        for p in parameters:
            p.data = self.flat[at:at + p.numel()].view(p.shape)
            p.requires_grad_(False)
            at += p.numel()
        config = model.config
        shape = _Shape(config["vocab_size"], config["hidden_size"], config["intermediate_size"],
                       config["num_hidden_layers"], config["num_attention_heads"],
                       config["num_key_value_heads"], config["head_dim"], config["rope_theta"],
                       config["rms_norm_eps"], threads, tokens, length, int(train))
        self.vocab = config["vocab_size"]
        self._step = self._library.starter_step_create(shape, self.flat.data_ptr(), self.flat.numel())
        if not self._step:
            raise RuntimeError(self._error())
        self.first = torch.zeros(self.flat.numel() if train else 0)
        self.second = torch.zeros(self.flat.numel() if train else 0)
        self.updates = 0

    def __del__(self):
        if getattr(self, "_step", None):
            self._library.starter_step_destroy(self._step)

    def _error(self):
        return self._library.starter_step_error().decode()

    def weights_changed(self):
        self._library.starter_step_weights_changed(self._step)

    def gradient(self, inputs, targets, weights, teacher=None):
        """Return (weighted loss, sum of losses of the tokens of weight 1, number of these)."""
        rows, length = inputs.shape
        inputs, targets = inputs.to(torch.int32).contiguous(), targets.to(torch.int32).contiguous()
        weights = weights.to(torch.float32).contiguous()
        report = (ctypes.c_double * 3)()
        if self._library.starter_step_gradient(
                self._step, teacher._step if teacher else None, inputs.data_ptr(), targets.data_ptr(),
                weights.data_ptr(), rows, length, report):
            raise RuntimeError(self._error())
        return tuple(report)

    def read_gradient(self):
        """Return the gradient of the last gradient() as a flat tensor."""
        out = torch.empty_like(self.flat)
        self._library.starter_step_read_gradient(self._step, out.data_ptr())
        return out

    def update(self, scale):
        """Apply the last gradient with learning rates multiplied by `scale`."""
        self.updates += 1
        self._library.starter_step_update(self._step, self.first.data_ptr(), self.second.data_ptr(),
                                          self.updates, scale)

    def logits(self, ids):
        """Return the logits of the last token of one row."""
        ids = torch.tensor(ids, dtype=torch.int32)
        out = torch.empty(self.vocab)
        if self._library.starter_step_logits(self._step, ids.data_ptr(), ids.numel(), out.data_ptr()):
            raise RuntimeError(self._error())
        return out

    def state_dict(self):
        return {"first": self.first, "second": self.second, "updates": self.updates}

    def load_state_dict(self, state):
        self.first.copy_(state["first"])
        self.second.copy_(state["second"])
        self.updates = state["updates"]
