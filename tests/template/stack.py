"""The template as a stack: translated to plain CloudFormation, with its parameters, conditions and functions worked out.

References to resources become made-up but well-formed values, so that a policy can be asked what it allows.
"""

import base64
import copy
import functools
import os
import re
from pathlib import Path

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

REPOSITORY = Path(__file__).resolve().parents[2]
# Another path is for seeing these tests fail.
TEMPLATE = Path(os.environ.get("TEMPLATE", REPOSITORY / "template.yaml"))

PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "llm-monitor",
    "AWS::URLSuffix": "amazonaws.com",
}
BUCKET = "llm-monitor-recordsbucket-1x2y3z"
NO_VALUE = object()

os.environ.setdefault("AWS_DEFAULT_REGION", PSEUDO["AWS::Region"])


class _NoManagedPolicies:
    """The translator asks AWS for the ARNs of managed policies by name; the template uses none."""

    def load(self):
        return {}


@functools.cache
def _source():
    return yaml_parse(TEMPLATE.read_text(encoding="utf-8"))


def source() -> dict:
    """The SAM template as it is written."""
    return copy.deepcopy(_source())


@functools.cache
def _translated():
    template = source()
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # What `sam package` writes after it uploaded what `sam build` built.
            resource["Properties"]["CodeUri"] = "s3://artifacts/code"
    return transform(template, {}, _NoManagedPolicies())


def translated() -> dict:
    """Plain CloudFormation, as the transform leaves it."""
    return copy.deepcopy(_translated())


class Stack:
    """What CloudFormation would make of the template with these parameters."""

    def __init__(self, **parameters: str):
        self.template = translated()
        declared = self.template["Parameters"]
        unknown = parameters.keys() - declared.keys()
        assert not unknown, f"the template has no parameter {unknown}"
        self.parameters = {name: str(parameters.get(name, p.get("Default", ""))) for name, p in declared.items()}
        self.resources = {
            name: self.value({k: v for k, v in resource.items() if k != "Metadata"})
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }
        self.outputs = {name: self.value(output["Value"]) for name, output in self.template["Outputs"].items()}

    def __getitem__(self, name: str) -> dict:
        return self.resources[name]["Properties"]

    def of_type(self, kind: str) -> dict:
        return {name: r["Properties"] for name, r in self.resources.items() if r["Type"] == kind}

    def variables(self, function: str) -> dict:
        return self[function]["Environment"]["Variables"]

    def broken_rules(self) -> list[str]:
        """What the template's Rules say of these parameters."""
        return [
            assertion["AssertDescription"]
            for rule in self.template.get("Rules", {}).values()
            if self._truth(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self._truth(assertion["Assert"])
        ]

    def condition(self, name: str) -> bool:
        return self._truth(self.template["Conditions"][name])

    def _truth(self, expression) -> bool:
        ((function, of),) = expression.items()
        if function == "Condition":
            return self.condition(of)
        if function == "Fn::Equals":
            left, right = (self.value(side) for side in of)
            return str(left) == str(right)
        if function == "Fn::Not":
            return not self._truth(of[0])
        return {"Fn::And": all, "Fn::Or": any}[function](self._truth(part) for part in of)

    def value(self, node):
        if isinstance(node, list):
            values = [self.value(item) for item in node]
            return [value for value in values if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((key, of),) = node.items()
            if key == "Ref" or key.startswith("Fn::"):
                return self._function(key, of)
        values = {key: self.value(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value is not NO_VALUE}

    def _function(self, function: str, of):
        if function == "Ref":
            return self._ref(of)
        if function == "Fn::GetAtt":
            return self._attribute(*(of if isinstance(of, list) else of.split(".", 1)))
        if function == "Fn::If":
            return self.value(of[1] if self.condition(of[0]) else of[2])
        if function == "Fn::Sub":
            text, extra = (of[0], of[1]) if isinstance(of, list) else (of, {})
            return self._sub(text, {name: self.value(value) for name, value in extra.items()})
        if function == "Fn::FindInMap":
            name, first, second = (self.value(part) for part in of)
            return self.template["Mappings"][name][first][second]
        if function == "Fn::Join":
            return self.value(of[0]).join(self.value(of[1]))
        if function == "Fn::Split":
            return self.value(of[1]).split(of[0])
        if function == "Fn::Base64":
            return base64.b64encode(self.value(of).encode()).decode()
        raise NotImplementedError(function)

    def _sub(self, text: str, extra: dict) -> str:
        def one(match):
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in extra:
                return extra[name]
            return str(self._attribute(*name.split(".", 1)) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", one, text)

    def _ref(self, name: str):
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            value = self.parameters[name]
            is_list = self.template["Parameters"][name]["Type"] == "CommaDelimitedList"
            return value.split(",") if is_list else value
        resource = self.template["Resources"][name]
        kind, properties = resource["Type"], resource["Properties"]
        if kind == "AWS::S3::Bucket":
            return BUCKET
        if kind == "AWS::SNS::Topic":
            return f"arn:aws:sns:eu-west-1:123456789012:{name}"
        if kind == "AWS::Logs::LogGroup":
            return self.value(properties["LogGroupName"])
        if kind == "AWS::Glue::Database":
            return self.value(properties["DatabaseInput"]["Name"])
        if kind == "AWS::Glue::Table":
            return self.value(properties["TableInput"]["Name"])
        return name

    def _attribute(self, name: str, attribute: str) -> str:
        kind = self.template["Resources"][name]["Type"]
        if attribute == "ApiEndpoint":
            return f"https://{name}.execute-api.eu-west-1.amazonaws.com"
        assert attribute == "Arn", f"{name}.{attribute}"
        return {
            "AWS::S3::Bucket": f"arn:aws:s3:::{BUCKET}",
            "AWS::Lambda::Function": f"arn:aws:lambda:eu-west-1:123456789012:function:{name}",
            "AWS::Logs::LogGroup": f"arn:aws:logs:eu-west-1:123456789012:log-group:{self._ref(name)}:*",
            "AWS::IAM::Role": f"arn:aws:iam::123456789012:role/{name}",
        }[kind]
