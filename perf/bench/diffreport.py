"""The result files of perf/diff: tables, aims, what each method cannot do. Thread rule: one thread."""

import statistics

from . import report

TABLES = (
    ("driver", "What depends on the mount alone"),
    ("original", "The benchmarks in their original form: Diff(upper, \"\")"),
    ("parent", "With the parent: Changes(upper, base) and Diff(upper, base)"),
    ("since", "Ten changes since a checkpoint"),
)
NOTES = {
    "driver": "A graph driver's own Exists is a stat of the layer's directory on the disk and asks no"
    " union; here it is a stat of the union's root.",
    "original": "The naive driver, asked for a Diff without a parent, packs **everything that the union"
    " shows**; overlay's own driver and plyfs pack what the upper has changed. DiffApply100 is Diff and"
    " ApplyDiff into a new layer.",
    "parent": "Lists as `docker diff` shows them, and layer tars, written to a pipe.",
    "since": "A dash for the tar of the upper: an upper does not tell what was changed when, so an engine"
    " begins a new layer at each step instead. A dash for the naive walk: it would walk the same two trees"
    " as above once more. Where it has a number, the state at the checkpoint was copied for it, which is"
    " not in the time. plyfs: a checkpoint, ten changes, then the first list (or tar) after them;"
    " *once more* is a list when nothing has changed since the last one.",
}
LIST_MS, TAR_MS, ENTRIES = 5, 10, 1_000_000


def _median(results, key, field="value"):
    values = [v for v in results.column(key, "plyfs, mounted", field) if v is not None]
    return statistics.median(values) if values else None


def aims(results, scenarios):
    """[(aim, where, measured, CPU time, held)] of the aims that could be judged."""
    found = []
    for scenario in scenarios:
        if scenario.since:
            for part, limit, what in (("since-list", LIST_MS, "listed"), ("since-export", TAR_MS, "exported")):
                key = f"{scenario.key}-{part}"
                value, cpu = _median(results, key), _median(results, key, "cpu")
                if value is not None:
                    aim = f"10 changes since a checkpoint {what} in {limit} ms"
                    measured = (f"{value:.1f} ms", f"{cpu:.1f} ms", value <= limit)
                    found.append((aim, scenario.title, *measured))
    largest = max((s for s in scenarios if s.top), key=lambda s: s.top, default=None)
    key = largest and f"{largest.key}-list"
    value = largest and _median(results, key)
    if value:
        rate = len(largest.expected()) / value * 1000
        aim = f"a full list at {ENTRIES:,} entries a second"
        measured = (f"{rate:,.0f} entries/s", f"{_median(results, key, 'cpu'):.0f} ms", rate >= ENTRIES)
        found.append((aim, largest.title, *measured))
    return found


def _aims_table(found):
    lines = [["aim", "where", "measured", "CPU time", "held"]]
    return lines + [[*texts, "yes" if held else "**no**"] for *texts, held in found]


def plain(tables, judged):
    parts = []
    for key, title in TABLES:
        for field, what in (("value", ""), ("cpu", ", CPU time")):
            lines = tables[key].table(field)
            if len(lines) > 1:
                parts += [f"{title}{what}", report.plain(lines), ""]
    parts += ["Aims, plyfs mounted", report.plain(_aims_table(judged))]
    return "\n".join(parts)


def document(tables, judged, found, plots):
    parts = ["# Benchmark results: what changed", "", f"    {found['command']}", "", "| | |", "|---|---|"]
    parts += [f"| {k} | {v} |" for k, v in found.items() if k not in ("name", "command")]
    parts += [
        "",
        "Median of the rounds and their range; lower is better everywhere. A method that needs more than"
        " some seconds for a row has fewer rounds; a single one has no range. What was found is compared"
        " with what was changed, and a time counts only if they are equal. A dash: the method cannot do it,"
        " or was not asked (see below the table).",
        "",
        "## Aims",
        "",
        report.markdown(_aims_table(judged)),
        "",
    ]
    parts += [f"![{plot.stem}]({plot.name})" for plot in plots]
    for key, title in TABLES:
        parts += ["", f"## {title}", "", NOTES[key], "", report.markdown(tables[key].table("value"))]
        parts += ["", "CPU time, of the client and the servers together:", ""]
        parts.append(report.markdown(tables[key].table("cpu")))
    errors = sorted(entry for results in tables.values() for entry in results.errors.items())
    if errors:
        parts += ["", "## Failed", ""] + [f"- {name}, {key}: {text}" for (key, name), text in errors]
    return "\n".join(parts) + "\n"


def as_json(tables, judged, found):
    return {
        "facts": found,
        "aims": [
            dict(zip(("aim", "where", "measured", "cpu", "held"), one)) for one in judged
        ],
        "tables": {key: tables[key].as_json() for key, _ in TABLES},
    }
