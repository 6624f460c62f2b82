"""Lines of keys, for recipes made by hypothesis, against where their values stand."""

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkspec.jobs.lines import Fault, find_lines

# Every value is or holds a number of its own, so that its line is where the text has that number;
# all else in values is there to mislead.
NOISE = ["# a = 1", '# """', "# [[networks]]", "#", "# }]"]
SINGLE = [
    "{n}",
    "1.{n}",
    "-{n}",
    '"{n} = [ # }}"',
    "'{n} \\'",
    '"\\" = {n}"',
    "2026-11-23 07:32:00.5",
]
LONG = [
    '"""{n}\n[[networks]]\nslope = 3\n\\""" x = 1 """""',
    '"""{n}\nx = 2""""',
    "'''{n}\nx = 2''''",
    "'''{n} \\\n# a = \n\n'x = 2'''''",
]
STYLES = ["k{n}", '"k{n}"', "'k {n}'", "a{n}.b", 'a{n} . "b.c"', '"\\u006b{n}".c']


class Writer:
    """Writes a document, asking hypothesis for every choice."""

    def __init__(self, draw):
        self.draw, self.count = draw, 10**6

    def pick(self, *choices):
        return self.draw(st.sampled_from(choices))

    def number(self):
        self.count += 1
        return self.count

    def key(self):
        return self.pick(*STYLES).format(n=self.number())

    def gap(self, lines=True):
        return self.pick("", " ", *(["\n", f" {self.pick(*NOISE)}\n\n"] if lines else []))

    def value(self, depth, lines=True):
        kind = self.pick("single", "long", "array", "table") if depth else "single"
        if kind == "array":
            items = [self.value(depth - 1) for _ in range(self.pick(0, 1, 3))]
            inner = ",".join(self.gap() + item + self.gap() for item in items)
            return f"[{inner}{self.gap()}]"
        if kind == "table":
            return "{" + ", ".join(self.pair(depth - 1) for _ in range(self.pick(0, 1, 2))) + "}"
        return self.pick(*(LONG if kind == "long" else SINGLE)).format(n=self.number())

    def pair(self, depth):
        return f"{self.key()}{self.gap(False)}={self.gap(False)}{self.value(depth)}"

    def pairs(self):
        rows = []
        for _ in range(self.pick(0, 1, 3)):
            rows += [self.pair(2) + self.pick("", " ", f" {self.pick(*NOISE)}")]
            rows += [self.pick("", *NOISE)] if self.pick(True, False) else []
        return rows

    def document(self):
        rows = self.pairs()
        for _ in range(self.pick(0, 1, 3)):
            rows += [
                self.pick("[[networks]]", "[[ networks ]] # x", '[["networks"]]'),
                *self.pairs(),
            ]
            if self.pick(True, False):
                rows += [f"[networks.{self.key()}]", *self.pairs()]
            for _ in range(self.pick(0, 2)):
                rows += ["[[networks.'inner']]", *self.pairs()]
        rows += [f"[t.{self.key()}]", *self.pairs()]
        return self.pick("\n", "\r\n").join(rows)


@st.composite
def documents(draw):
    return Writer(draw).document()


def paths_of(value, path=()):
    """Paths of all that a document holds, with the number that a value has for its own."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found = re.search(r"1\d{6}", "" if isinstance(inner, dict | list) else repr(inner))
            yield (*path, key), found and found.group()
            yield from paths_of(inner, (*path, key))


@given(documents())
def test_every_key_is_found_on_its_line(text):
    lines = find_lines(text)
    expected = dict(paths_of(tomllib.loads(text)))
    assert lines.keys() == expected.keys()
    for path, number in expected.items():
        if number:
            assert lines[path] == text[: text.index(number)].count("\n") + 1, path


def test_the_faults_of_the_parser_have_their_lines():
    for text, start in (("a = 1\nb ? 2\n", "x:2: "), ("a = 1\nb = [1,\n\n", "x:3: ")):
        with pytest.raises(tomllib.TOMLDecodeError) as caught:
            tomllib.loads(text)
        message = str(Fault.of_parser(caught.value, text).located("", "x"))
        assert message.startswith(start)
        assert "line 2" not in message


@pytest.mark.parametrize(
    "fault,message",
    [
        (Fault("wrong", ("b", 1, "d")), "line 5: wrong"),
        (Fault("wrong", ("b", 1, "missing")), "line 4: wrong"),
        (Fault("wrong", ("missing",)), "wrong"),
        (Fault("wrong"), "wrong"),
        (Fault("as", ("b", 1), ("b", 0)), "line 4: as, line 2"),
    ],
)
def test_a_fault_names_the_nearest_line(fault, message):
    assert str(fault.located("a = 1\n[[b]]\nc = 2\n[[b]]\nd = 3")) == message
