"""The Dockerfile and compose.yaml, as far as they can be checked where no Docker engine runs."""

import re
import unittest

import yaml

import contract
from stack import REPOSITORY


class Container(unittest.TestCase):
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    compose = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))

    def last_stage(self):
        return self.dockerfile.rsplit("\nFROM ", 1)[1]

    def test_it_is_not_root_and_says_how_it_is(self):
        stage = self.last_stage()
        self.assertRegex(stage, r"\nUSER [1-9][0-9]*:[1-9][0-9]*\n")
        self.assertRegex(stage, r"HEALTHCHECK (?s:.*)http://127\.0\.0\.1:8000/health")
        self.assertIn('CMD ["serve"]', stage)
        self.assertLess(stage.index("\nUSER"), stage.index("\nENTRYPOINT"))

    def test_it_is_built_by_the_toolchain_of_the_workspace(self):
        wanted = re.search(r'rust-version = "([^"]+)"', (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8"))[1]
        self.assertIn(f"FROM rust:{wanted}-", self.dockerfile)
        self.assertIn("cargo build --release --locked --package llm-monitor", self.dockerfile)

    def test_every_variable_is_a_setting(self):
        known = contract.settings()
        variables = set(re.findall(r"\b([A-Z][A-Z_]+)=", self.last_stage()))
        for service in ("monitor", "mock"):
            variables |= set(self.compose["services"][service].get("environment", {}))
        self.assertIn("LISTEN", variables)
        self.assertEqual({name for name in variables - known if not name.startswith("AWS_")}, set())

    def test_only_this_machine_reaches_what_compose_publishes(self):
        for name, service in self.compose["services"].items():
            for port in service.get("ports", []):
                with self.subTest(service=name, port=port):
                    self.assertTrue(port.startswith("127.0.0.1:"))

    def test_images_are_pinned(self):
        images = re.findall(r"^FROM (\S+)", self.dockerfile, re.MULTILINE)
        images += [service["image"] for service in self.compose["services"].values()]
        for image in images:
            with self.subTest(image):
                self.assertRegex(image, r":(?!latest)[\w.-]+$")

    def test_the_monitor_waits_for_its_bucket(self):
        services = self.compose["services"]
        waits = {name: on["condition"] for name, on in services["monitor"]["depends_on"].items()}
        self.assertEqual(waits, {"bucket": "service_completed_successfully", "mock": "service_healthy"})
        self.assertIn("healthcheck", services["mock"])
        bucket = services["monitor"]["environment"]["RECORDS_BUCKET"]
        self.assertIn(f"local/{bucket}\n", services["bucket"]["command"][0])
