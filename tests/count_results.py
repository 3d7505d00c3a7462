#!/usr/bin/env python3
"""Counts the test cases of a meson test run and shows those that failed.

usage: count_results.py TESTLOG.json [DIRECTORY-OF-SANITIZER-REPORTS]

Reads meson's log (one JSON object a line). A gtest program counts as its cases, anything else as
one. A program that failed without a failed case (a crash, a timeout) is one failure, and so is a
sanitizer's report, whichever process wrote it. The last line is `N passed, N failed`.
"""

import json
import os
import re
import sys

SHOWN_LINES = 120  # of one failed program


def failed_blocks(output):
    """The output of each gtest case that failed, without the others'."""
    blocks, current = [], []
    for line in output.splitlines():
        if line.startswith("[ RUN      ]"):
            current = [line]
        else:
            current.append(line)
            if line.startswith("[  FAILED  ]") and current[0].startswith("[ RUN      ]"):
                blocks += current
                current = [""]
            elif line.startswith("[       OK ]"):
                current = [""]
    return blocks or output.splitlines()[-SHOWN_LINES:]


def summed(pattern, output):
    return sum(int(number) for number in re.findall(pattern, output, re.MULTILINE))


def main():
    passed = failed = 0
    try:
        with open(sys.argv[1], encoding="utf-8") as log:
            results = [json.loads(line) for line in log if line.strip()]
    except FileNotFoundError:
        results = []
    if not results:
        print("FAIL no test was run")
        failed += 1
    for result in results:
        output = result.get("stdout") or ""
        ok = result["result"] in ("OK", "EXPECTEDFAIL", "SKIP")
        cases = summed(r"^\[  PASSED  \] (\d+) tests?\.", output)
        bad = summed(r"^\[  FAILED  \] (\d+) tests?, listed below", output)
        skipped = summed(r"^\[  SKIPPED \] (\d+) tests?, listed below", output)
        skipped += 1 if result["result"] == "SKIP" else 0
        cases += 1 if ok and cases == 0 and bad == 0 and skipped == 0 else 0
        bad += 1 if not ok and bad == 0 else 0
        passed += cases
        failed += bad
        took = f"{result.get('duration', 0):.0f} s"
        print(f"{result['name']}: {cases} passed, {bad} failed, {result['result']}, {took}")
        if skipped:
            print(f"  {skipped} did not run here:")
            for reason in sorted(set(re.findall(r"^.*[Ss]kipped\n(?:.+\n)?", output, re.MULTILINE))):
                print("    " + reason.strip().replace("\n", ": "))
        if not ok:
            print(f"FAIL {result['name']}: {result['result']}, status {result.get('returncode')}")
            shown = failed_blocks(output) + (result.get("stderr") or "").splitlines()[-20:]
            print("\n".join("     " + line for line in shown[:SHOWN_LINES]))
    reports = sys.argv[2] if len(sys.argv) > 2 else None
    for name in sorted(os.listdir(reports)) if reports else []:
        path = os.path.join(reports, name)
        with open(path, encoding="utf-8", errors="replace") as report:
            print(f"FAIL a sanitizer reports ({name}):")
            print("".join("     " + line for line in report.readlines()[:60]))
        os.remove(path)
        failed += 1
    print(f"{passed} passed, {failed} failed")


if __name__ == "__main__":
    main()
