#!/usr/bin/env bash
# common.sh: what the end-to-end scripts share: running one case, comparing, servers of this run.
# Sourced, not run. Needs E2E_DIR, the directory of this run, and E2E_PLYFS, the program under test.
set -euo pipefail

E2E_MODE=${E2E_MODE:-rootful}
: "${E2E_DIR:?}" "${E2E_PLYFS:?}" "${E2E_ONLY:=}"
cases_passed=0
cases_failed=0

# The failure of a case; what it says is the reason in the FAIL line.
fail() { echo "WHY: $*"; exit 1; }

# run_case NAME: calls the function NAME in a subshell of its own and prints ok or FAIL.
run_case() {
  local name=$1 log status why started=$SECONDS
  [[ -z $E2E_ONLY || $E2E_MODE.$name =~ $E2E_ONLY ]] || return 0
  log=$E2E_DIR/logs/$E2E_MODE.$name.log
  # Not in a condition: there bash would ignore a failing command in the middle of the case.
  set +e
  ( set -euo pipefail; trap 'fail "line $LINENO: $BASH_COMMAND"' ERR; set -E; "$name" ) >"$log" 2>&1
  status=$?
  set -e
  if [[ $status -eq 0 ]]; then
    cases_passed=$((cases_passed + 1))
    echo "ok $E2E_MODE.$name ($((SECONDS - started)) s)"
  else
    cases_failed=$((cases_failed + 1))
    why=$(grep -m 1 '^WHY: ' "$log" || true)
    echo "FAIL $E2E_MODE.$name: ${why#WHY: }"
    tail -n 25 "$log" | sed 's/^/     /'
  fi
}

# The counts of one script, for the driver; its own status tells nothing else.
finish() { echo "$cases_passed passed, $cases_failed failed"; [[ $cases_failed -eq 0 ]]; }

# expect_same WHAT EXPECTED ACTUAL: two files, or the case fails with their difference.
expect_same() {
  diff -u "$2" "$3" | head -n 40 >"$E2E_DIR/logs/difference.$E2E_MODE" || true
  [[ ! -s $E2E_DIR/logs/difference.$E2E_MODE ]] || { cat "$E2E_DIR/logs/difference.$E2E_MODE"; fail "$1 differs"; }
}

# expect_text WHAT EXPECTED ACTUAL: two strings.
expect_text() { [[ $2 == "$3" ]] || fail "$1 is '$3', expected '$2'"; }

# Polls for a condition that a correct program reaches; the limit only ends a broken run.
wait_for() {
  local what=$1 tries=0
  shift
  until "$@"; do
    tries=$((tries + 1))
    [[ $tries -lt 300 ]] || fail "waited 30 s for: $what"
    sleep 0.1
  done
}

# The servers that serve mounts of this run (those of a mountpoint below $1, when it is given).
server_pids() { pgrep -f -- "^${E2E_PLYFS} .*${1:-$E2E_DIR}" || true; }
no_servers() { [[ -z $(server_pids "${1:-}") ]]; }

# Unmounts a mount that the case made, and waits until its server is gone.
take_down() {
  umount "$1" 2>/dev/null || fusermount3 -u "$1"
  wait_for "the server of $1 to end" no_servers "$1"
}
