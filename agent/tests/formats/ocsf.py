"""Checks OCSF events, one a line on standard input, against the strict JSON Schema of their class and profiles.

Prints a line for each event that is not valid and a count at the end; exits 1 when there was one, or none at all.
"""

import collections
import json
import sys

import jsonschema
import referencing
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

schema = get_ocsf_schema("1.8.0")
embedded = OcsfJsonSchemaEmbedded(schema)
validators = {}


def validator(event):
    profiles = tuple(event["metadata"]["profiles"])
    key = (event["class_uid"], profiles)
    if key not in validators:
        name = embedded.lookup_class_name_from_uid(event["class_uid"])
        known = schema["classes"][name]["profiles"]
        unknown = [profile for profile in profiles if profile not in known]
        assert not unknown, f"{name} has no profiles {unknown}"
        validators[key] = jsonschema.Draft202012Validator(embedded.get_class_schema(name, list(profiles)))
    return validators[key]


counts, bad, ids = collections.Counter(), 0, set()
for line in sys.stdin:
    event = json.loads(line)
    counts[event["class_uid"]] += 1
    problems = [f"{e.json_path}: {e.message[:200]}" for e in validator(event).iter_errors(event)]
    if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
        problems.append("type_uid")
    if event["metadata"]["uid"] in ids:
        problems.append("metadata.uid stands twice")
    ids.add(event["metadata"]["uid"])
    if problems:
        bad += 1
        print(event["class_uid"], event["metadata"].get("event_code"), problems)
print(f"{sum(counts.values())} events, {bad} not valid, classes {dict(counts)}")
sys.exit(1 if bad or not counts else 0)
