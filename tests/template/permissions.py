"""What a role may do: as much of IAM's logic as the template uses (Allow statements, wildcards, the conditions named below)."""

import re

from stack import Stack


def listed(value) -> list:
    return value if isinstance(value, list) else [value]


def statements(stack: Stack, role: str) -> list[dict]:
    properties = stack[role]
    assert not properties.get("ManagedPolicyArns"), f"{role} has managed policies, which allow more than it needs"
    return [s for policy in properties["Policies"] for s in policy["PolicyDocument"]["Statement"]]


def actions(stack: Stack, role: str) -> set[str]:
    return {action for statement in statements(stack, role) for action in listed(statement["Action"])}


def allows(stack: Stack, role: str, action: str, resource: str, **context: str) -> bool:
    """Whether `role` may do `action` on `resource`. Keys of `context` are condition keys, `_` for `:`."""
    asked = {key.replace("_", ":", 1): value for key, value in context.items()}
    return any(
        statement["Effect"] == "Allow"
        and any(_matches(pattern, action) for pattern in listed(statement["Action"]))
        and any(_matches(pattern, resource) for pattern in listed(statement["Resource"]))
        and _holds(statement.get("Condition", {}), asked)
        for statement in statements(stack, role)
    )


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text) is not None


def _holds(conditions: dict, asked: dict) -> bool:
    for operator, keys in conditions.items():
        for key, patterns in keys.items():
            if operator == "StringLikeIfExists":
                holds = key not in asked or any(_matches(pattern, asked[key]) for pattern in listed(patterns))
            elif operator == "StringEquals":
                holds = asked.get(key) in listed(patterns)
            else:
                raise NotImplementedError(operator)
            if not holds:
                return False
    return True
