"""`./run --build-only` prints the program's path as its last line, on stdout alone."""
import os
import subprocess
import unittest

from program import ROOT


class BuildOnly(unittest.TestCase):
    def test_last_line_is_the_program(self):
        done = subprocess.run([str(ROOT / "run"), "--build-only"], capture_output=True, text=True,
                              timeout=600, cwd="/")
        self.assertEqual(done.returncode, 0, done.stderr)
        path = done.stdout.splitlines()[-1]
        self.assertTrue(os.access(path, os.X_OK), path)
        version = subprocess.run([path, "version"], capture_output=True, text=True, timeout=30)
        self.assertIn("inferneo", version.stdout)


if __name__ == "__main__":
    unittest.main()
