# SPDX-License-Identifier: Apache-2.0
"""Statements that count, found in C by the function, or macro, that they are in; and taken away."""

import dataclasses
import re

FUNCTION = re.compile(r"[A-Za-z_][^;={]*?\b(\w+)\(")
MACRO = re.compile(r"#define (\w+)\(")
# What counts nothing but what it is told to count.
COUNTS = re.compile(r"(?:\(void\))?\b(?:COUNT|COUNT_OUTCOME|telemetry_note|hit|ledger_add|"
                    r"__sync_fetch_and_add|__atomic_fetch_add)\(|\bstats->values\[")
# Of the arguments of these the second is the name of a counter and no value.
NAMING = ("COUNT", "COUNT_OUTCOME")


@dataclasses.dataclass(frozen=True)
class Place:
    """A statement without its semicolon, and where its text is in the file."""
    function: str
    statement: str
    begin: int
    end: int


def functions(text):
    """(name, begin, end) of each function and macro in a file as clang-format leaves it."""
    name, begin, inside, macro, at = "", 0, False, False, 0
    for line in text.splitlines(keepends=True):
        stripped = line.rstrip()
        defined, declared = MACRO.match(line), FUNCTION.match(line)
        if defined and not inside:
            name, begin, macro = defined.group(1), at, True
        elif declared and not inside and not macro:
            name, begin = declared.group(1), at
        elif stripped == "{":
            inside = True
        elif stripped.startswith("}"):
            if inside and stripped == "}":
                yield name, begin, at + len(line)
            inside = False
        at += len(line)
        if macro and not stripped.endswith("\\"):
            yield name, begin, at
            macro = False


def end_of_statement(text, begin):
    """Where its semicolon is."""
    depth = 0
    for at in range(begin, len(text)):
        depth += text[at] in "([" or -(text[at] in ")]")
        if depth == 0 and text[at] == ";":
            return at
    raise LookupError(f"no end: {text[begin:begin + 60]!r}")


def places(text, pattern=COUNTS):
    """Each statement that begins with what the pattern matches."""
    for name, begin, end in functions(text):
        for match in pattern.finditer(text, begin, end):
            # Not the function's own name where it is defined, nor what is only part of an expression.
            if re.search(r"[{};)\\:/]\s*$|\belse\s*$", text[begin:match.start()]):
                stop = end_of_statement(text, match.start())
                yield Place(name, " ".join(text[match.start():stop].split()), match.start(), stop)


def find(text, function, statement):
    """Where it is; it must be there once."""
    spaced = r"\s*".join(map(re.escape, re.findall(r"\w+|[^\w\s]", statement)))
    found = [p for p in places(text, re.compile(spaced + r"\s*(?=;)")) if p.function == function]
    if len(found) != 1:
        raise LookupError(f"{function}() has {len(found)} times, not once: {statement}")
    return found[0]


def arguments(text):
    """Of a call, the text between its parentheses, cut at its commas."""
    parts, depth = [""], 0
    for char in text:
        depth += char in "([" or -(char in ")]")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]


def values(statement):
    """What it uses, which is to be used without it, too: nothing else may be wrong with the source."""
    call = re.fullmatch(r"(?:\(void\))?(\w+)\((.*)\)", statement)
    if call:
        name, parts = call.group(1), arguments(call.group(2))
        return parts[:1] + parts[2:] if name in NAMING else parts
    changed = re.fullmatch(r"(?:\+\+|--)?(.+?)(?:\+\+|--| [-+]?= (.*))?", statement)
    return [part for part in changed.groups() if part]


def instead(statement, only):
    """What it becomes: nothing; or, in a macro, nothing for this type of record."""
    call = re.fullmatch(r"COUNT\((\w+), (\w+##type)\)", statement)
    if only:
        return (f'(void)(sizeof(#type) != sizeof("{only}") && '
                f"__sync_fetch_and_add(&({call.group(1)})->{call.group(2)}, 1))")
    return ", ".join(f"(void)({value})" for value in values(statement))


def edit(text, function, statement, only=""):
    """(text of the function, that text with the statement taken away)."""
    place = find(text, function, statement)
    begin, end = next((begin, end) for _, begin, end in functions(text)
                      if begin <= place.begin < end)
    new = instead(place.statement, only)
    return text[begin:end], text[begin:place.begin] + new + text[place.end:end]
