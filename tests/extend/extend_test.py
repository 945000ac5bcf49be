"""Drops the sample files of this folder into a copy of the tree, by path alone, and checks that the
build finds them: they appear in the generated tables, they compile, and the rule of src/LAYERS holds.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=280)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


class Extend(unittest.TestCase):
    def setUp(self):
        self.tree = pathlib.Path(tempfile.mkdtemp(prefix="inferneo_extend_")) / "tree"
        self.tree.mkdir()
        for name in ("CMakeLists.txt", "CMakePresets.json"):
            shutil.copy(ROOT / name, self.tree / name)
        for name in ("src", "cmake", "fuzz", "bench", "tools"):
            shutil.copytree(ROOT / name, self.tree / name)

    def tearDown(self):
        shutil.rmtree(self.tree.parent)

    def registry(self, folder):
        return (self.tree / "build" / "generated" / folder / "registry.cc").read_text()

    def test_one_file_or_row_each(self):
        configure = (os.environ["CMAKE_COMMAND"], "-S", ".", "-B", "build", "-G", "Ninja",
                     "-DINFERNEO_TESTS=OFF", "-DCMAKE_BUILD_TYPE=Debug",
                     "-DCMAKE_CXX_COMPILER=" + os.environ["CXX"])
        run(*configure, cwd=self.tree)
        self.assertNotIn("kSampleArch", self.registry("arch"))

        shutil.copy(HERE / "arch" / "sample.cc", self.tree / "src" / "arch")
        shutil.copy(HERE / "gateway" / "endpoints" / "sample.cc",
                    self.tree / "src" / "gateway" / "endpoints")
        with open(self.tree / "src" / "observe" / "metrics.def", "a", encoding="utf-8") as rows:
            rows.write((HERE / "metrics.def").read_text())

        # Ninja notices the new files by itself; nothing is configured by hand again.
        objects = ["CMakeFiles/inferneo_arch.dir/src/arch/sample.cc.o",
                   "CMakeFiles/inferneo_gateway_endpoints.dir/src/gateway/endpoints/sample.cc.o",
                   "CMakeFiles/inferneo_observe.dir/src/observe/exposition.cc.o"]
        run("ninja", "-C", "build", "-j", "2", "build.ninja", cwd=self.tree)
        run("ninja", "-C", "build", "-j", "2", *objects, cwd=self.tree)
        self.assertIn("&kSampleArch", self.registry("arch"))
        self.assertIn("&kSampleEndpoint", self.registry("gateway/endpoints"))
        compiled = (self.tree / "build" / objects[2]).read_bytes()
        self.assertTrue(b"inferneo_sample_events" in compiled, "the metric is not in the exposition")
        run(sys.executable, "tools/check_layers.py", cwd=self.tree)


if __name__ == "__main__":
    unittest.main()
