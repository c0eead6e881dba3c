"""The tool that changes a feature flag: `set_feature_flag`.

Owns: the edit of one default variant inside the flagd ConfigMap, as an operator makes it by hand. Does not
own: when flagd and the services notice.
"""

from __future__ import annotations

import json

from pydantic import Field

from harness.cluster import Manifest, ObjectRef
from harness.errors import ToolError
from harness.tools.actions import outcome
from harness.tools.base import Args, Json, ToolContext, tool
from harness.tools.kubectl import fetch
from harness.tools.permissions import check_write

CONFIG_MAP = "flagd-config"
KEY = "demo.flagd.json"


class SetFlagArgs(Args):
    namespace: str
    flag: str
    variant: str = Field(description="new default variant, e.g. off")


@tool("Set a flag's default variant; only edits ConfigMap flagd-config.", SetFlagArgs, mutating=True)
def set_feature_flag(context: ToolContext, args: SetFlagArgs) -> Json:
    """Edit a feature flag."""
    target = ObjectRef("ConfigMap", CONFIG_MAP, args.namespace)
    check_write("patch", target, context.namespaces)
    before = fetch(context, *target)
    content = _content(before)
    flags = content["flags"]
    if args.flag not in flags:
        raise ToolError(f"unknown flag {args.flag!r}; flags: {', '.join(sorted(flags))}")
    variants = flags[args.flag].get("variants", {})
    if args.variant not in variants:
        known = ", ".join(variants)
        raise ToolError(f"unknown variant {args.variant!r} of {args.flag}; variants: {known}")
    flags[args.flag]["defaultVariant"] = args.variant
    patch = {"data": {KEY: json.dumps(content, indent=2)}}
    after = context.cluster.patch(*target, patch)
    return outcome(context, before, after, "edited", dry_run=False)


def _content(config_map: Manifest) -> Json:
    """The flag definitions. Raises ToolError when the ConfigMap does not hold any."""
    try:
        content = json.loads(config_map.get("data", {})[KEY])
    except (KeyError, ValueError) as error:
        raise ToolError(f"{CONFIG_MAP}: no readable {KEY} ({type(error).__name__}: {error})") from None
    if not isinstance(content, dict) or not isinstance(content.get("flags"), dict):
        raise ToolError(f"{CONFIG_MAP}: {KEY} has no object `flags`")
    return content
