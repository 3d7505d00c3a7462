"""Medians, ranges, ratios, and the tables made of them. Thread rule: one thread.

A ratio of two contestants is the median of the ratios of each round, so that what disturbed the
machine in one round disturbs both sides of it. Below 1 means that plyfs needs less.
"""

import statistics


def spread(values):
    """(median, smallest, largest), or None without a value."""
    if not values:
        return None
    return statistics.median(values), min(values), max(values)


def ratios(ours, theirs):
    """Per-round ratios of two lists that hold one value, or None, for each round."""
    return [a / b for a, b in zip(ours, theirs) if a is not None and b]


def _number(value):
    if value == 0:
        return "0"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4
    return f"{value:,.{digits}f}"


def cell(values):
    found = spread([value for value in values if value is not None])
    if found is None:
        return "–"
    median, low, high = (_number(value) for value in found)
    return f"{median} ({low}–{high})" if low != high else median


def ratio_text(values):
    found = spread(values)
    return "–" if found is None else "{:.2f} ({:.2f}–{:.2f})".format(*found)


class Results:
    """Samples of one session: rows x contestants x rounds."""

    def __init__(self, rows, contestants, rounds):
        self.rows = list(rows)
        self.contestants = list(contestants)
        self.rounds = rounds
        self.samples = {}  # (row key, contestant, round) -> Sample
        self.errors = {}  # (row key, contestant) -> text

    def column(self, key, contestant, field="value"):
        """One value or None for each round."""
        column = []
        for index in range(self.rounds):
            sample = self.samples.get((key, contestant, index))
            column.append(getattr(sample, field) if sample else None)
        return column

    def table(self, field="value"):
        """Rows of text: the header first. field: value (wall time or size) or cpu."""
        ours = [name for name in self.contestants if name.partition(":")[0] == "plyfs"]
        pairs = [
            (mine, other)
            for mine in ours
            for other in ("fuse-overlayfs", "kernel")
            if other in self.contestants
        ]
        lines = [["workload", "unit", *self.contestants, *(f"{a} / {b}" for a, b in pairs)]]
        for row in self.rows:
            columns = {name: self.column(row.key, name, field) for name in self.contestants}
            if not any(value is not None for column in columns.values() for value in column):
                if field != "value" or not any(key == row.key for key, _ in self.errors):
                    continue
            cells = []
            for name in self.contestants:
                failed = (row.key, name) in self.errors
                cells.append("failed" if failed else cell(columns[name]))
            marks = [ratio_text(ratios(columns[a], columns[b])) for a, b in pairs]
            lines.append([row.title, row.unit, *cells, *marks])
        return lines

    def worse_than(self, other="fuse-overlayfs", mine="plyfs"):
        """[(row, field, ratios of the rounds)] where mine needs more than other in the median."""
        found = []
        for row in self.rows:
            for field in ("value", "cpu"):
                per_round = ratios(
                    self.column(row.key, mine, field), self.column(row.key, other, field)
                )
                if per_round and statistics.median(per_round) > 1:
                    found.append((row, field, per_round))
        return found

    def as_json(self):
        out = {}
        for row in self.rows:
            entry = {"title": row.title, "unit": row.unit, "contestants": {}}
            for name in self.contestants:
                fields = {
                    field: self.column(row.key, name, field)
                    for field in ("value", "client_cpu", "server_cpu")
                }
                if (row.key, name) in self.errors:
                    fields["error"] = self.errors[row.key, name]
                entry["contestants"][name] = fields
            out[row.key] = entry
        return out


def plain(lines):
    """The table for a terminal."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = []
    for line in lines:
        cells = [
            value.ljust(width) if i < 2 else value.rjust(width)
            for i, (value, width) in enumerate(zip(line, widths))
        ]
        text.append("  ".join(cells).rstrip())
    return "\n".join(text)


def markdown(lines):
    head, *body = lines
    rule = ["---", "---", *("--:" for _ in head[2:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *body))


def document(results, facts):
    """The whole .md file: facts is an ordered dict of what was measured where."""
    parts = [f"# Benchmark results: {facts['name']}", ""]
    parts += [f"    {facts['command']}", ""]
    parts += ["| | |", "|---|---|"]
    parts += [
        f"| {key} | {value} |" for key, value in facts.items() if key not in ("name", "command")
    ]
    parts += [
        "",
        "Median of the rounds and their range; lower is better everywhere. A ratio is the median"
        " of the rounds' ratios: below 1 plyfs needs less. A dash: not applicable.",
        "",
        "## Wall time and memory",
        "",
        markdown(results.table("value")),
        "",
        "## CPU time, client and server together",
        "",
        "What kernel threads do for a contestant (writeback) is in nobody's count.",
        "",
        markdown(results.table("cpu")),
        "",
    ]
    if results.errors:
        parts += ["## Failed", ""]
        parts += [
            f"- {name}, {key}: {text}" for (key, name), text in sorted(results.errors.items())
        ]
        parts.append("")
    return "\n".join(parts)
