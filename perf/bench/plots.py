"""The two plots: what a list costs against the size of the base, and against the number of changes.

gnuplot draws them from text files that lie beside them. Thread rule: one thread.
"""

import shutil
import statistics
import subprocess

from .measure import log

SINCE = "plyfs, 10 since a checkpoint"
SCRIPT = """
set terminal svg size 900,420 font 'sans,12' dynamic
set output '{svg}'
set title '{title}'
set xlabel '{xlabel}'
set ylabel 'milliseconds'
set logscale xy
set linetype 5 lc rgb '#cc3377'
set linetype 7 lc rgb '#000000'
set format x '%.0s%c'
set grid ytics lc rgb '#dddddd'
set key outside right center vertical Left reverse samplen 2
set datafile missing '-'
set datafile separator '\\t'
plot for [i=2:{columns}] '{data}' using 1:i with linespoints pt 7 ps 0.5 lw 2 title columnheader(i)
"""


def _median(values):
    values = [value for value in values if value is not None]
    return f"{statistics.median(values):.3f}" if values else "-"


def _table(scenarios, x_of, results):
    """Lines of text: methods across, one scenario a line."""
    lines = []
    for scenario in sorted(scenarios, key=x_of):
        cells = [_median(results.column(f"{scenario.key}-list", m)) for m in results.contestants]
        cells.append(_median(results.column(f"{scenario.key}-since-list", "plyfs, mounted")))
        lines.append("\t".join([str(x_of(scenario)), *cells]))
    return lines


def draw(stem, scenarios, results):
    """Writes STEM-base and STEM-changes, .tsv and .svg. Without gnuplot only the .tsv."""
    sized = [scenario for scenario in scenarios if scenario.top]
    for name, x_of, fixed, title, label in (
        ("base", lambda s: s.bottom, lambda s: s.top == 10, "Listing 10 changes", "files in the base"),
        ("changes", lambda s: s.top, lambda s: s.bottom == 10, "Listing all changes", "changed files"),
    ):
        data = stem.with_name(f"{stem.name}-{name}.tsv")
        lines = _table([s for s in sized if fixed(s)], x_of, results)
        head = "\t".join([label, *results.contestants, SINCE])
        data.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
        if len(lines) < 2:
            continue  # of a part of the scenarios only
        if not shutil.which("gnuplot"):
            log("gnuplot is not installed: no plot (tools/setup --perf)")
            continue
        script = SCRIPT.format(
            svg=data.with_suffix(".svg"),
            data=data,
            title=title,
            xlabel=label,
            columns=len(results.contestants) + 2,
        )
        subprocess.run(["gnuplot"], input=script, text=True, check=True, timeout=60)
