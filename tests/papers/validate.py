"""Validates bills of materials: validate.py spdx|cyclonedx FILE...

SPDX 2.3 by the SPDX project's own library, CycloneDX 1.6 by the official schema and by CycloneDX' own library. Package URLs are
parsed by the library of their specification.
"""

import json
import sys

from packageurl import PackageURL


def spdx_faults(path):
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    document = parse_file(path)
    for package in document.packages:
        for reference in package.external_references:
            yield from purl_faults(reference.locator)
    for message in validate_full_spdx_document(document):
        yield f"{message.context.spdx_id}: {message.validation_message}"


def cyclonedx_faults(path):
    from cyclonedx.model.bom import Bom
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    with open(path, encoding="utf-8") as file:
        text = file.read()
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        yield str(fault)
        return
    bom = Bom.from_json(json.loads(text))
    bom.validate()
    for component in json.loads(text)["components"]:
        if "purl" in component:
            yield from purl_faults(component["purl"])


def purl_faults(text):
    purl = PackageURL.from_string(text)
    if purl.to_string() != text:
        yield f"{text} is written {purl.to_string()}"
    if purl.type == "deb" and not {"arch", "distro"} <= purl.qualifiers.keys():
        yield f"{text} has not both arch and distro"


def main():
    form, *paths = sys.argv[1:]
    faults = {"spdx": spdx_faults, "cyclonedx": cyclonedx_faults}[form]
    failed = False
    for path in paths:
        for fault in faults(path):
            print(f"{path}: {fault}", file=sys.stderr)
            failed = True
    sys.exit(failed)


main()
