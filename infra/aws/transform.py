"""Transforms template.yaml as AWS SAM does, compares its routes with the contract, and prints the CloudFormation template.

`sam validate --lint` alone lets misspelt events and bad references pass: cfn-lint gets what this prints.
"""

import json
import pathlib
import sys

from samtranslator.parser.parser import Parser
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

HERE = pathlib.Path(__file__).parent
METHODS = {"get", "post", "put", "patch", "delete"}


class Policies:
    """The translator asks AWS for managed policies by name; this template names those it needs itself."""

    def load(self):
        return {
            name: f"arn:aws:iam::aws:policy/{path}{name}"
            for name, path in [
                ("AWSLambdaBasicExecutionRole", "service-role/"),
                ("AWSLambdaVPCAccessExecutionRole", "service-role/"),
                ("AWSXrayWriteOnlyAccess", ""),
            ]
        }


def routes_of_template(template):
    """Method and path of every route, with the name of its function in lower case."""
    routes = {}
    for name, resource in template["Resources"].items():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            if event["Type"] == "HttpApi":
                key = (event["Properties"]["Method"].lower(), event["Properties"]["Path"])
                routes[key] = name.removesuffix("Function").lower()
    return routes


def routes_of_contract(contract):
    """The same from the tags of docs/openapi.json; /health is every function's and goes to the list function."""
    return {
        (method, path): "list" if path == "/health" else operation["tags"][0]
        for path, item in contract["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def main():
    text = (HERE / "template.yaml").read_text()
    expected = routes_of_contract(json.loads((HERE / "../../docs/openapi.json").read_text()))
    template = yaml_parse(text)
    found = routes_of_template(template)
    wrong = [
        f"{method.upper()} {path}: {found.get((method, path))} instead of {function}"
        for (method, path), function in expected.items()
        if found.get((method, path)) != function
    ]
    gone = [
        f"{method.upper()} {path} is not in the contract"
        for method, path in found
        if method in METHODS and (method, path) not in expected
    ]
    if wrong or gone:
        sys.exit("infra/aws/template.yaml and docs/openapi.json disagree:\n" + "\n".join(wrong + gone))
    for resource in template["Resources"].values():
        for name in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            # What `sam package` puts in place of a directory.
            resource["Properties"][name] = "s3://packaged/code.zip"
    json.dump(transform(template, {}, Policies()), sys.stdout, indent=2, sort_keys=True)


main()
