#!/usr/bin/env python3
"""Writes table.txt: how protobuf messages of Kubernetes become JSON.

Run it, with Go installed and its module proxy reachable, to take over another version of Kubernetes:

    python3 standalone/src/api/protobuf/generate.py v0.34.1

Numbers, types and repetition come from the `generated.proto` files of k8s.io/api and k8s.io/apimachinery; JSON names,
and what is inlined, left off when empty or a pointer, from the tags and types of the Go structs beside them. Whatever
is not understood ends the run: nothing is left out in silence. Kinds are added in KINDS; the messages they need follow.
"""

import json
import pathlib
import re
import subprocess
import sys

# Packages and the kinds to take from them.
KINDS = {
    "api/core/v1": "Namespace ConfigMap Secret Service ServiceAccount Endpoints Event Pod PersistentVolumeClaim "
    "PersistentVolume ReplicationController",
    "api/apps/v1": "Deployment ReplicaSet StatefulSet DaemonSet",
    "api/batch/v1": "Job CronJob",
    "api/autoscaling/v1": "HorizontalPodAutoscaler Scale",
    "api/autoscaling/v2": "HorizontalPodAutoscaler",
    "api/coordination/v1": "Lease",
    "api/discovery/v1": "EndpointSlice",
    "api/events/v1": "Event",
    "api/networking/v1": "Ingress",
    "api/rbac/v1": "Role RoleBinding ClusterRole ClusterRoleBinding",
    "api/authorization/v1": "SelfSubjectAccessReview SelfSubjectRulesReview",
    "api/authentication/v1": "SelfSubjectReview",
    "apimachinery/pkg/apis/meta/v1": "DeleteOptions",
}
# Kinds that come under the version of any resource.
EVERYWHERE = {"DeleteOptions"}
SCALARS = {"string", "bytes", "int32", "int64", "bool"}
# Messages whose JSON form is not an object of their fields, and what the decoder calls that form.
SPECIAL = {
    "apimachinery/pkg/apis/meta/v1.Time": "Time",
    "apimachinery/pkg/apis/meta/v1.MicroTime": "MicroTime",
    "apimachinery/pkg/apis/meta/v1.FieldsV1": "Json",
    "apimachinery/pkg/runtime.RawExtension": "Json",
    "apimachinery/pkg/api/resource.Quantity": "Quantity",
    "apimachinery/pkg/util/intstr.IntOrString": "IntOrString",
}


def fail(text):
    sys.exit(f"generate.py: {text}")


class Package:
    """A Go package: its messages (name -> fields) and its structs (name -> number -> tag)."""

    def __init__(self, directory, path):
        self.path = path
        self.messages = parse_proto((directory / "generated.proto").read_text())
        self.structs, self.lists, self.group = {}, set(), None
        for file in sorted(directory.glob("*.go")):
            if not file.name.endswith("_test.go") and file.name != "generated.pb.go":
                self.parse_go(file.read_text())

    def parse_go(self, text):
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        lines = [line.strip() for line in text.splitlines() if not line.strip().startswith("//")]
        for found in filter(None, (re.match(r'const GroupName = "(.*)"', line) for line in lines)):
            self.group = found[1]
        # Named lists are messages with one field in protobuf.
        self.lists |= {found[1] for line in lines if (found := re.match(r"type (\w+) \[\]string$", line))}
        struct = None
        for line in lines:
            if found := re.match(r"type (\w+) struct \{$", line):
                struct = self.structs.setdefault(found[1], {})
            elif line == "}":
                struct = None
            elif struct is not None and (found := re.match(r'(\S.*?)\s+`(.*)`', line)):
                tags = dict(re.findall(r'(\w+):"([^"]*)"', found[2]))
                if tags.get("protobuf", "-") != "-":
                    number = int(tags["protobuf"].split(",")[1])
                    struct[number] = (found[1].split(), tags.get("json", "").split(","))


def parse_proto(text):
    """Messages of a file; they are not nested."""
    messages, fields = {}, None
    for line in (line.split("//")[0].strip() for line in text.splitlines()):
        if found := re.match(r"message (\w+) \{$", line):
            fields = messages.setdefault(found[1], [])
        elif line == "}":
            fields = None
        elif found := re.match(r"(?:optional|(repeated)) (\S+) (\w+) = (\d+)(?: \[.*\])?;$", line):
            fields.append((int(found[4]), found[3], found[2], "[]" if found[1] else ""))
        elif found := re.match(r"map<string, (\S+)> (\w+) = (\d+);$", line):
            fields.append((int(found[3]), found[2], found[1], "{}"))
        elif line and fields is not None:
            fail(f"not understood: {line}")
    return messages


class Generator:
    def __init__(self, roots):
        self.roots, self.packages, self.lines, self.done = roots, {}, [], {}

    def package(self, path):
        if path not in self.packages:
            module, inner = path.split("/", 1)
            self.packages[path] = Package(self.roots[module] / inner, path)
        return self.packages[path]

    def type_name(self, package, name):
        """The type of a field as the decoder knows it."""
        if name in SCALARS:
            return name
        if name.startswith("."):
            path, name = name.removeprefix(".k8s.io.").rsplit(".", 1)
            package = self.package(path.replace(".", "/"))
        special = SPECIAL.get(f"{package.path}.{name}")
        if special:
            return special
        if name in package.lists:
            if [field[1:] for field in package.messages[name]] != [("items", "string", "[]")]:
                fail(f"{package.path}.{name} is a list of a kind that is not known")
            return "Strings"
        return self.message(package, name)

    def message(self, package, name):
        """Writes a message and those below it; returns its name in the table."""
        short = f"{package.path.removeprefix('apimachinery/pkg/apis/').removeprefix('api/').replace('/', '.')}.{name}"
        if short in self.done:
            return short
        self.done[short] = []
        if name not in package.structs:
            fail(f"{package.path}.{name} is no struct: its JSON form is not known")
        tags = dict(package.structs[name])
        for number, proto_name, proto_type, shape in sorted(package.messages[name]):
            if number not in tags:
                fail(f"{package.path}.{name}.{proto_name} has no tag in Go")
            (*_, go_type), (json_name, *options) = tags.pop(number)
            ty = self.type_name(package, proto_type)
            if "inline" in options:
                if shape or ty not in self.done or json_name:
                    fail(f"{package.path}.{name}.{proto_name} is inlined but no message")
                json_name = "-"
            elif json_name != proto_name:
                print(f"{short}.{proto_name} is called {json_name!r} in JSON", file=sys.stderr)
            if not re.fullmatch(r"-|[A-Za-z][A-Za-z0-9]*", json_name):
                fail(f"{package.path}.{name}.{proto_name} has no name in JSON")
            pointer = go_type.startswith("*")
            dropped = "?" if ty in SCALARS and not shape and not pointer and "omitempty" in options else ""
            self.done[short].append(f"{number} {json_name} {shape}{ty}{dropped}")
        if tags:
            fail(f"{package.path}.{name} has fields in Go only: {tags}")
        return short

    def run(self):
        kinds = []
        for path, names in KINDS.items():
            package = self.package(path)
            version = "/".join(filter(None, [package.group, path.split("/")[-1]]))
            version = "*" if path.startswith("apimachinery/") else version
            for name in names.split():
                if (version == "*") != (name in EVERYWHERE):
                    fail(f"{name} has no version")
                kinds.append(f"= {version} {name} {self.message(package, name)}")
        yield from kinds
        for name, fields in sorted(self.done.items()):
            yield name
            yield from fields


def main(version):
    modules = {name: f"k8s.io/{name}@{version}" for name in ("api", "apimachinery")}
    # Elsewhere than in a Go module, which would be told to require them.
    download = ["go", "mod", "download", "-json", *modules.values()]
    roots, rest = {}, subprocess.run(download, check=True, stdout=subprocess.PIPE, cwd="/").stdout.decode().strip()
    while rest:
        module, end = json.JSONDecoder().raw_decode(rest)
        roots[module["Path"].removeprefix("k8s.io/")] = pathlib.Path(module["Dir"])
        rest = rest[end:].strip()
    lines = [
        f"# Written by generate.py from {' and '.join(modules.values())}; do not edit.",
        "# `= apiVersion kind message`, then messages: `number jsonName type`, where `-` is inlined, `[]` a list,",
        "# `{}` a map with text keys, and `?` left off when empty.",
        *Generator(roots).run(),
    ]
    table = pathlib.Path(__file__).with_name("table.txt")
    table.write_text("\n".join(lines) + "\n")
    print(f"{table}: {len(lines)} lines, {table.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        fail("which version of k8s.io/api? For example: v0.34.1")
    main(sys.argv[1])
