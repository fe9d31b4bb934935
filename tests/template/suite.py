"""Runs every test of this folder and closes with one line, `N passed, N failed`."""

import sys
import unittest
from pathlib import Path


def run(pattern: str = "test_*.py", verbosity: int = 1) -> unittest.TestResult:
    tests = unittest.defaultTestLoader.discover(str(Path(__file__).parent), pattern=pattern)
    return unittest.TextTestRunner(stream=sys.stderr, verbosity=verbosity).run(tests)


if __name__ == "__main__":
    result = run()
    # A test with failing subtests is one failed test, however many of them fail.
    failed = {test.id() if not hasattr(test, "test_case") else test.test_case.id() for test, _ in result.failures + result.errors}
    print(f"{result.testsRun - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed or result.testsRun == 0 else 0)
