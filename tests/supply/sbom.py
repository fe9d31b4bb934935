"""A bill of materials (CycloneDX 1.6) of what the programs are built of, from `cargo metadata`: python3 sbom.py > sbom.cdx.json

The same sources give the same bytes: it names no time, no machine and no path.
"""

import json
import subprocess
import sys

PROGRAMS = ["llm-monitor", "llm-monitor-function-monitor", "llm-monitor-function-api"]


def metadata() -> dict:
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--offline"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def reached(nodes: dict, roots: list) -> set:
    """The packages that become part of `roots`: normal dependencies and what they need to be built, but none of tests."""
    found, open_ = set(), list(roots)
    while open_:
        package = open_.pop()
        if package in found:
            continue
        found.add(package)
        for dependency in nodes[package]["deps"]:
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
                open_.append(dependency["pkg"])
    return found


def purl(package: dict) -> str:
    return f"pkg:cargo/{package['name']}@{package['version'].replace('+', '%2B')}"


def component(package: dict, checksums: dict) -> dict:
    name, version = package["name"], package["version"]
    made = {"type": "library", "bom-ref": purl(package), "name": name, "version": version, "purl": purl(package)}
    if package["license"]:
        # Older crates write `MIT/Apache-2.0` where SPDX says OR.
        made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if (name, version) in checksums:
        made["hashes"] = [{"alg": "SHA-256", "content": checksums[name, version]}]
    if package["repository"]:
        made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return made


def locked_checksums() -> dict:
    import tomllib

    with open("Cargo.lock", "rb") as file:
        packages = tomllib.load(file)["package"]
    return {(p["name"], p["version"]): p["checksum"] for p in packages if "checksum" in p}


def main() -> None:
    data = metadata()
    packages = {package["id"]: package for package in data["packages"]}
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    roots = [id_ for id_, package in packages.items() if package["name"] in PROGRAMS]
    assert len(roots) == len(PROGRAMS), f"expected the programs {PROGRAMS}"
    found = reached(nodes, roots)
    checksums = locked_checksums()
    ours = set(data["workspace_members"])
    unpinned = [packages[id_]["name"] for id_ in found - ours if (packages[id_]["name"], packages[id_]["version"]) not in checksums]
    assert not unpinned, f"without a checksum in Cargo.lock: {unpinned}"
    in_order = sorted(found, key=lambda id_: (packages[id_]["name"], packages[id_]["version"]))
    program = packages[roots[0]]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": "llm-monitor", "name": "LLM Monitor", "version": program["version"]}
        },
        "components": [component(packages[id_], checksums) for id_ in in_order],
        "dependencies": [{"ref": "llm-monitor", "dependsOn": sorted(purl(packages[id_]) for id_ in roots)}]
        + [
            {
                "ref": purl(packages[id_]),
                "dependsOn": sorted({purl(packages[d["pkg"]]) for d in nodes[id_]["deps"] if d["pkg"] in found}),
            }
            for id_ in in_order
        ],
    }
    json.dump(bill, sys.stdout, indent=1)
    sys.stdout.write("\n")


main()
