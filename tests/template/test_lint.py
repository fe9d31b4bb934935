"""cfn-lint over the SAM source and over what it becomes: on the source alone it misses what only CloudFormation sees."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from stack import TEMPLATE, translated


def lint(path: Path) -> str:
    # Every level but the informational; any region with every service the template uses.
    program = str(Path(sys.executable).with_name("cfn-lint"))
    command = [program, "--regions", "eu-west-1", "--format", "parseable", "--template", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


class Lint(unittest.TestCase):
    def test_the_sam_source_is_clean(self):
        self.assertEqual(lint(TEMPLATE), "")

    def test_what_it_becomes_is_clean(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "translated.json")
            path.write_text(json.dumps(translated(), indent=1), encoding="utf-8")
            self.assertEqual(lint(path), "")
