"""spec/support/uncovered.py REPORT.json LIST [LINES BRANCHES]

Reads gcovr's report and the list of what is not covered, with its reasons,
prints a table of files, and says what of the two does not agree. 1 if a line
is missing from the list, if a file has branches that no reason speaks of, or
if less than LINES or BRANCHES percent are covered.

The list holds paragraphs. Each begins with a word and its reason,

  lines: why these lines are not reached
    src/file.c function: text of the line
  sometimes: why it depends on chance whether these lines are reached
    src/file.c function: text of the line
  branches: why not every way is taken where these files branch
    src/file.c

and the reason may go on in lines that begin with "  | ". Lines are known by
their function and text, not by their number, so that an edit elsewhere changes
nothing here.
"""
import json
import re
import sys


class Line:
    def __init__(self, file, function, number, text):
        self.file, self.function = file, function
        self.number, self.text = number, text

    def key(self):
        return f"{self.file} {self.function}: {self.text}"


class File:
    """What of a file is covered, by gcovr's count."""

    def __init__(self, entry):
        self.name = entry["file"]
        with open(self.name, encoding="utf-8") as f:
            source = f.read().split("\n")
        starts = sorted((f["lineno"], f["name"]) for f in entry["functions"])
        self.lines, self.hit = 0, 0
        self.branches, self.taken = 0, 0
        self.uncovered, self.partly = [], []
        for found in entry["lines"]:
            if found["gcovr/noncode"] or found["gcovr/excluded"]:
                continue
            number = found["line_number"]
            name = [name for start, name in starts if start <= number][-1:]
            line = Line(self.name, name[0] if name else "-", number,
                        source[number - 1].strip())
            self.lines += 1
            self.branches += len(found["branches"])
            taken = sum(b["count"] > 0 for b in found["branches"])
            self.taken += taken
            if found["count"]:
                self.hit += 1
                if taken < len(found["branches"]):
                    self.partly.append((line, taken, len(found["branches"])))
            else:
                self.uncovered.append(line)


class Paragraph:
    def __init__(self, kind, reason):
        self.kind, self.reason, self.entries = kind, reason, []


def read_list(path):
    paragraphs = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            start = re.match(r"(lines|sometimes|branches): (\S.*)", line)
            if start:
                paragraphs.append(Paragraph(*start.groups()))
            elif line.startswith("  | ") and paragraphs:
                paragraphs[-1].reason += " " + line[4:].strip()
            elif line.startswith("  ") and paragraphs:
                paragraphs[-1].entries.append(line.strip())
            elif line.strip() and not line.startswith("#"):
                sys.exit(f"{path}:{number}: not understood: {line.strip()}")
    return paragraphs


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def row(name, f):
    return "%-28s %5d /%5d %6.1f %% %6d /%5d %6.1f %%" % (
        name, f.hit, f.lines, percent(f.hit, f.lines),
        f.taken, f.branches, percent(f.taken, f.branches))


class Total:
    def __init__(self, files):
        for what in ("lines", "hit", "branches", "taken"):
            setattr(self, what, sum(getattr(f, what) for f in files))


def table(files, total):
    print("%-28s %24s %24s" % ("", "lines", "branches"))
    for f in files:
        print(row(f.name, f))
    print(row("all", total))


def unlisted(files, paragraphs):
    """Uncovered lines that no paragraph speaks of, and the reverse."""
    listed = {entry: p for p in paragraphs if p.kind != "branches"
              for entry in p.entries}
    uncovered = {}
    for f in files:
        for line in f.uncovered:
            uncovered.setdefault(line.key(), []).append(line)
    for key, p in listed.items():
        if p.kind == "lines" and key not in uncovered:
            print(f"no longer uncovered, or no longer there: {key}")
    bad = 0
    for key, lines in uncovered.items():
        if key not in listed:
            bad += 1
            print("not covered, not listed:", key,
                  "# line " + ", ".join(str(at.number) for at in lines))
    return bad


def unreasoned(files, paragraphs):
    """Files with covered lines, not all of whose branches are taken, that no
    paragraph speaks of."""
    named = {entry for p in paragraphs if p.kind == "branches"
             for entry in p.entries}
    bad = 0
    for f in files:
        missed = sum(of - taken for _, taken, of in f.partly)
        if missed and f.name not in named:
            bad += 1
            print(f"{f.name}: {missed} branches not taken, no reason listed")
        elif not missed and f.name in named:
            print(f"all branches taken, but listed: {f.name}")
    for name in named - {f.name for f in files}:
        print(f"no such file, but listed: {name}")
    return bad


def details(files, paragraphs, out):
    """Everything, for who wants to cover more of it."""
    reasons = {entry: p.reason for p in paragraphs if p.kind != "branches"
               for entry in p.entries}
    for f in files:
        for line in f.uncovered:
            print(f"{f.name}:{line.number}: {line.function}: {line.text}",
                  f"# {reasons.get(line.key(), 'not listed')}", file=out)
        for line, taken, of in f.partly:
            print(f"{f.name}:{line.number}: {line.function}: {line.text}",
                  f"# {taken} of {of} branches", file=out)


def main(report, path, least_lines="0", least_branches="0"):
    with open(report, encoding="utf-8") as f:
        files = [File(entry) for entry in json.load(f)["files"]]
    files.sort(key=lambda f: f.name)
    paragraphs = read_list(path)
    total = Total(files)
    table(files, total)
    with open(report.removesuffix(".json") + ".txt", "w",
              encoding="utf-8") as out:
        details(files, paragraphs, out)
        print(f"line by line: {out.name}")
    listed = sum(len(p.entries) for p in paragraphs if p.kind != "branches")
    print(f"not covered: {total.lines - total.hit} lines,",
          f"{total.branches - total.taken} branches;",
          f"{listed} lines listed with a reason in {path}")
    bad = unlisted(files, paragraphs) + unreasoned(files, paragraphs)
    for what, part, whole, least in (
            ("lines", total.hit, total.lines, float(least_lines)),
            ("branches", total.taken, total.branches, float(least_branches))):
        if percent(part, whole) < least:
            bad += 1
            print("%s: %.1f %% covered, less than %g %%" % (
                what, percent(part, whole), least))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
