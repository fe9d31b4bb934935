"""What the template has to agree with, read from where it is decided."""

import re
import tomllib

from stack import REPOSITORY

ENVIRONMENTS = ("dev", "test", "qa", "prod")

# Settings whose value is a secret. In Lambda each comes by reference: its name with `_PARAMETER` behind it.
PROVIDER_KEYS = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")
SECRETS = {
    "API_TOKEN",
    *PROVIDER_KEYS,
    *(f"{e.upper()}_{key}" for e in ENVIRONMENTS for key in (*PROVIDER_KEYS, "USAGE_TOKEN")),
}
# Read outside core/src/settings: the log filter.
OTHER_SETTINGS = {"RUST_LOG"}


def settings() -> set[str]:
    """Every variable that the program reads."""
    source = "\n".join(
        path.read_text(encoding="utf-8")
        # A provider's variables stand beside its wire format.
        for folder in ("core/src/settings", "core/src/provider")
        for path in (REPOSITORY / folder).rglob("*.rs")
        if path.name != "tests.rs"
    )
    plain = set(re.findall(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|STORE|LISTEN|ENVIRONMENTS?)"', source))
    # `format!("{}_USAGE_ENDPOINT", …)`: one for each environment.
    by_environment = set(re.findall(r'"\{\}_([A-Z0-9_]+)"', source))
    providers = {name for name in plain if re.match(r"(OPENAI|ANTHROPIC|GEMINI|OLLAMA|AZURE_OPENAI)_", name)}
    own = {f"{e.upper()}_{name}" for e in ENVIRONMENTS for name in by_environment | providers}
    known = plain | own | OTHER_SETTINGS
    missing = {"STORE", "RECORDS_BUCKET", "MULTI_ENV_MODE", "PROD_USAGE_ENDPOINT", "OPENAI_API_KEY"} - known
    assert not missing, f"core/src/settings and core/src/provider were not understood: {missing} not found there"
    return known | {f"{name}_PARAMETER" for name in SECRETS}


def columns() -> list[str]:
    """The CSV's columns, in order."""
    for path in sorted((REPOSITORY / "core/src/record").rglob("*.rs")):
        found = re.search(r"pub const COLUMNS: \[&str; (\d+)\] = \[(.*?)\];", path.read_text(encoding="utf-8"), re.DOTALL)
        if found:
            names = re.findall(r'"(\w+)"', found[2])
            assert len(names) == int(found[1])
            return names
    raise AssertionError("core/src/record has no COLUMNS")


def binaries() -> dict[str, str]:
    """Folder of each function's package -> the one program that it builds."""
    found = {}
    for manifest in (REPOSITORY / "functions").glob("*/Cargo.toml"):
        # What the functions share builds no program.
        binaries = tomllib.loads(manifest.read_text(encoding="utf-8")).get("bin", [])
        if not binaries:
            continue
        (binary,) = binaries
        found[manifest.parent.relative_to(REPOSITORY).as_posix()] = binary["name"]
    return found
