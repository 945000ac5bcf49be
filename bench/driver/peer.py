"""Finding llama.cpp and making the command that measures it."""

import glob
import os
import platform
import shutil

MISSING = (
    "llama.cpp is not here: only Inferneo is measured. bench/get_peer fetches it from npm, or give "
    "--peer DIR with libllama or with a system that has it."
)


class Peer:
    """Where llama.cpp is. `loader` is what runs a program against the libraries of another root;
    `server` is the llama-server of that root, if there is one."""

    def __init__(self, library_dir, backends_dir, loader=(), server=None):
        self.library_dir = library_dir
        self.backends_dir = backends_dir
        self.loader = list(loader)
        self.server = server

    @property
    def version(self):
        names = sorted(os.path.basename(p) for p in glob.glob(f"{self.library_dir}/libllama.*so*"))
        return max(names, key=len).replace("libllama.", "").replace(".so", "") if names else "?"

    def command(self, harness, model_path, threads):
        return [
            *self.loader, harness, "--library", self.library_dir, "--backend", self.backends_dir,
            "--threads", str(threads), model_path,
        ]

    def server_command(self):
        return [*self.loader, self.server]


def _at(library_dir, loader=(), server=None):
    if not glob.glob(f"{library_dir}/libllama.*so*"):
        return None
    backends = sorted(glob.glob(f"{library_dir}/ggml/backends*"))
    return Peer(library_dir, backends[-1] if backends else library_dir, loader, server)


def _in_root(root):
    for libraries in sorted(glob.glob(f"{root}/usr/lib/*-linux-gnu")):
        loaders = glob.glob(f"{root}/lib*/ld-linux-*.so.*")
        if loaders:
            search = f"{libraries}:{libraries}/llama"
            server = f"{root}/usr/bin/llama-server"
            peer = _at(libraries, [sorted(loaders)[0], "--library-path", search],
                       server if os.path.exists(server) else None)
            if peer:
                return peer
    return None


def find_server(root):
    """A llama.cpp that has a llama-server: in the given root, or on the PATH. The npm package has
    none."""
    if root:
        peer = _in_root(root)
        return peer if peer and peer.server else None
    server = shutil.which("llama-server")
    if not server:
        return None
    for directory in sorted(glob.glob("/usr/lib/*-linux-gnu")):
        peer = _at(directory, (), server)
        if peer:
            return peer
    return None


def find(wanted, source_dir):
    """None when there is none. `wanted` is "auto", a directory that holds libllama, or the root of
    a system."""
    if wanted != "auto":
        return _at(wanted) or _in_root(wanted)
    arch = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"@node-llama-cpp/linux-{arch}/bins/linux-{arch}"
    for directory in (
        f"{source_dir}/build/peer/package/bins/linux-{arch}",
        f"{source_dir}/node_modules/{package}",
        *sorted(glob.glob("/usr/lib/*-linux-gnu")),
        "/usr/local/lib",
    ):
        peer = _at(directory)
        if peer:
            return peer
    return None
