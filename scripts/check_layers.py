#!/usr/bin/env python3
"""Checks that the imports in src/ follow the layers in ARCHITECTURE.md.

The fenced block ```layers there lists them from top to bottom, one layer per line, with the rooms of a layer separated by spaces.
A room is a folder or file directly in src/. It may import itself and rooms of lower layers: not rooms of higher layers, and not
other rooms of its own layer. Comments, documentation and code that is compiled only for tests are ignored.

Usage: scripts/check_layers.py [--circles]      --circles also lists circular imports between rooms, and between the files of a room
Exits with 1 if an import goes up or sideways, or if a room has no layer."""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
# This is the program, not the library, and imports the library as `gpunn`.
PROGRAM = {"main"}

COMMENT_OR_TEXT = re.compile(
    r"""//[^\n]*
    | (?P<block>/\*)
    | b?r(?P<hashes>\#*)"(?s:.*?)"(?P=hashes)
    | b?"(?s:\\.|[^"\\])*"
    | b?'(?:\\[^\n']*?.|[^\\'\n])'
    """,
    re.VERBOSE,
)
USE = re.compile(r"(?P<public>\bpub\s*(?:\([^)]*\)\s*)?)?\buse\s+(?P<tree>[^;]+);")
PATH = re.compile(r"(?<![\w:$])(?:\$?crate|gpunn|self|super)(?:\s*::\s*\w+)+")
TEST = re.compile(r"#\[cfg\(test\)\]")


def blank(text):
    """Replaces all characters except line ends by spaces."""
    return re.sub(r"[^\n]", " ", text)


def without_comments(text):
    """The code with comments and literals replaced by spaces."""
    parts, at = [], 0
    while found := COMMENT_OR_TEXT.search(text, at):
        end = found.end()
        if found["block"]:
            depth = 1
            while depth:
                mark = re.compile(r"/\*|\*/").search(text, end)
                depth += 1 if mark and mark[0] == "/*" else -1
                end = mark.end() if mark else len(text)
                if not mark:
                    break
        parts += [text[at : found.start()], blank(text[found.start() : end])]
        at = end
    return "".join(parts) + text[at:]


def without_tests(code):
    """The code with items that are compiled only for tests replaced by spaces."""
    while found := TEST.search(code):
        end, depth = found.end(), 0
        while end < len(code):
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
            if depth == 0 and code[end - 1] in ";}":
                break
        code = code[: found.start()] + blank(code[found.start() : end]) + code[end:]
    return code


def leaves(tree, first, prefix=()):
    """The paths of a `use`, each with the position of its last word and its local name."""
    depth, start, pieces = 0, 0, []
    for at, letter in enumerate(tree + ","):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            pieces.append((start, tree[start:at]))
            start = at + 1
    for start, piece in pieces:
        brace = piece.find("{")
        head = piece if brace < 0 else piece[:brace]
        head, _, alias = head.partition(" as ")
        words = tuple(word.strip() for word in head.split("::") if word.strip())
        if brace >= 0:
            yield from leaves(piece[brace + 1 : piece.rindex("}")], first + start + brace + 1, prefix + words)
        elif words:
            path = prefix + words
            path = path[:-1] if path[-1] == "self" else path
            yield path, first + start + len(piece) - len(piece.lstrip()), (alias.strip() or path[-1])


class File:
    """A source file: its module and its imports."""

    def __init__(self, path):
        self.path = path
        parts = path.relative_to(SOURCE).with_suffix("").parts
        self.module = parts[:-1] if parts[-1] in ("mod", "lib", "main") else parts
        self.is_folder = parts[-1] in ("mod", "lib", "main")
        self.room = parts[0]
        code = without_tests(without_comments(path.read_text(encoding="utf-8")))
        self.code = code
        self.children = set(re.findall(r"\bmod\s+(\w+)\s*;", code))
        # (absolute path, line, whether it is a re-export, local name)
        self.imports = []
        for use in USE.finditer(code):
            for words, at, name in leaves(use["tree"], use.start("tree")):
                self.add(words, at, bool(use["public"]), name)
        rest = USE.sub(lambda use: blank(use[0]), code)
        for found in PATH.finditer(rest):
            words = tuple(word.strip().lstrip("$") for word in found[0].split("::"))
            self.add(words, found.start(), False, words[-1])

    def add(self, words, at, public, name):
        path = self.absolute(words)
        if path:
            self.imports.append((path, self.code.count("\n", 0, at) + 1, public, name))

    def absolute(self, words):
        """The path from the crate's root, or None for an import from another crate."""
        base, words = list(self.module), list(words)
        if words[0] == "crate" or (words[0] == "gpunn" and self.room in PROGRAM):
            return tuple(words[1:])
        if words[0] in ("self", "super"):
            while words and words[0] in ("self", "super"):
                if words.pop(0) == "super":
                    base = base[:-1]
            return tuple(base + words)
        return tuple(base + words) if words[0] in self.children else None

    def at(self, line):
        return f"{self.path.relative_to(ROOT).as_posix()}:{line}"


class Tree:
    """All files, and which file defines a path."""

    def __init__(self):
        self.files = [File(path) for path in sorted(SOURCE.rglob("*.rs"))]
        self.rooms = {file.room for file in self.files} - {"lib", "main"}
        self.by_module = {file.module: file for file in self.files if file.room != "main"}
        self.handed_on = {}
        self.macros = {}
        for file in self.files:
            for path, _, public, name in file.imports:
                if public and file.room != "main":
                    self.handed_on[file.module + (name,)] = path
            for name in re.findall(r"\bmacro_rules!\s*(\w+)", file.code):
                self.macros[name] = file

    def file_of(self, path):
        """The file that defines the item of a path, through re-exports of other files."""
        for _ in range(20):
            # The longest prefix that is a re-export or a file.
            for length in range(len(path), -1, -1):
                start = path[:length]
                if start in self.by_module and length:
                    return self.by_module[start]
                if start in self.handed_on and self.handed_on[start] != path:
                    path = self.handed_on[start] + path[length:]
                    break
            else:
                return self.macros.get(path[0]) if path else None
        return None

    def room_of(self, path):
        if path and path[0] in self.rooms:
            return path[0]
        file = self.file_of(path)
        return file.room if file else None


def read_layers():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```layers\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    if len(blocks) != 1:
        sys.exit(f"ARCHITECTURE.md has to have one block ```layers, but has {len(blocks)}")
    layers = {}
    for number, line in enumerate(blocks[0].splitlines()):
        for room in line.split():
            if room in layers:
                sys.exit(f"ARCHITECTURE.md names the room {room} in two layers")
            layers[room] = number
    return layers


def wrong_imports(tree, layers):
    """One sentence for each import that goes up or sideways, and for each path that is in no room."""
    wrong = {}
    for file in tree.files:
        if file.room in ("lib", "main"):
            continue
        for path, line, _, _ in file.imports:
            target = tree.room_of(path)
            if target is None:
                if len(path) > 0 and path[0] != "self":
                    wrong[file, line, path[0]] = f"{file.at(line)}: no room has `{'::'.join(path)}`"
            elif target != file.room and target in layers and file.room in layers:
                down = layers[target] - layers[file.room]
                if down <= 0:
                    way = "up" if down < 0 else "sideways"
                    wrong[file, line, target] = f"{file.at(line)}: {file.room} imports {target}, which goes {way}"
    return list(wrong.values())


def circles(edges):
    """The strongly connected components of more than one node, by Tarjan's algorithm, as sorted lists."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            start = stack.index(node)
            if len(stack) - start > 1:
                found.append(sorted(stack[start:]))
            del stack[start:]

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def show_circles(tree):
    """Lists circular imports between rooms, and between the files of each room; re-exports do not count."""
    sys.setrecursionlimit(10_000)
    rooms, files = {}, {}
    for file in tree.files:
        if file.room in ("lib", "main"):
            continue
        for path, line, public, _ in file.imports:
            room = tree.room_of(path)
            if room and room != file.room:
                rooms.setdefault(file.room, {}).setdefault(room, file.at(line))
            target = tree.file_of(path)
            if target and target is not file and target.room == file.room and not (public and file.is_folder):
                own, other = (f.path.relative_to(SOURCE).as_posix() for f in (file, target))
                files.setdefault(file.room, {}).setdefault(own, {}).setdefault(other, file.at(line))
    for title, graph in [("rooms", rooms), *((f"files of {room}", files[room]) for room in sorted(files))]:
        for circle in circles(graph):
            print(f"circle of {len(circle)} {title}: {' '.join(circle)}")
            for node in circle:
                for other in circle:
                    if other in graph.get(node, {}):
                        print(f"    {graph[node][other]}: {node} imports {other}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--circles", action="store_true", help="also list circular imports between rooms and between files")
    arguments = parser.parse_args()
    tree, layers = Tree(), read_layers()
    wrong = wrong_imports(tree, layers)
    wrong += [f"src/{room}: the room has no layer in ARCHITECTURE.md" for room in sorted(tree.rooms - set(layers))]
    print("\n".join(wrong + [f"{len(wrong)} imports or rooms break the layers"]))
    if arguments.circles:
        show_circles(tree)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
