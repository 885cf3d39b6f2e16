#!/bin/sh
# usage: preflight.sh [COMMAND WORD…]
#
# Whether this machine runs programs of the CPUs that its jobs want: asked before each job, by GitHub's runner
# (ACTIONS_RUNNER_HOOK_JOB_STARTED) or GitLab's (pre_get_sources_script, pre_build_script), and before a runner starts, by
# its service (ExecStartPre=) or as the entrypoint of its container, which then becomes the command. Any status but 0 keeps
# the job, or the runner, from starting: it is that of binfmtd doctor.
#
# Settings are lines KEY=VALUE, without quotes, in /etc/binfmtd/preflight.conf; the environment overrides them:
#
#   BINFMTD_PREFLIGHT_REQUIRE=linux/arm64,linux/riscv64   what has to run; without it, what the configuration asks for
#   BINFMTD_PREFLIGHT_JOBS=acme/* */images/build-*        PROJECT/JOB: others are not asked about, and a service starts
#   BINFMTD_PREFLIGHT_ON_FAILURE=warn                     say what is wrong, and go on; else: fail
#   BINFMTD_PREFLIGHT_TIMEOUT=10                          seconds for each program of the doctor's
#
# BINFMTD_PREFLIGHT_CONFIG names another file. GitHub's runner runs this by bash -e, or by sh -e where there is no bash.
set -eu
# Patterns are for jobs, not for files.
set -f

project=${GITHUB_REPOSITORY-${CI_PROJECT_PATH-}}
job=${GITHUB_JOB-${CI_JOB_NAME-}}
name="$project/$job"

# say LEVEL WORDS
say() {
    if [ -n "${GITHUB_ACTIONS-}" ]; then
        printf '::%s title=binfmtd preflight::%s\n' "$1" "$(printf %s "$2" | sed 's/%/%25/g')"
    else
        printf 'binfmtd preflight: %s: %s\n' "$1" "$2"
    fi
}

fault() {
    say error "$1"
    exit 2
}

require='' jobs='' on_failure=fail timeout=10
file=${BINFMTD_PREFLIGHT_CONFIG-/etc/binfmtd/preflight.conf}
if [ -e "$file" ] || [ -n "${BINFMTD_PREFLIGHT_CONFIG-}" ]; then
    { [ -r "$file" ] && [ ! -d "$file" ]; } || fault "$file cannot be read, or is a folder"
    number=0
    while IFS= read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        case $line in
        '' | '#'*) ;;
        BINFMTD_PREFLIGHT_REQUIRE=*) require=${line#*=} ;;
        BINFMTD_PREFLIGHT_JOBS=*) jobs=${line#*=} ;;
        BINFMTD_PREFLIGHT_ON_FAILURE=*) on_failure=${line#*=} ;;
        BINFMTD_PREFLIGHT_TIMEOUT=*) timeout=${line#*=} ;;
        *) fault "$file:$number: this is no setting of the preflight: $line" ;;
        esac
    done <"$file"
fi
require=${BINFMTD_PREFLIGHT_REQUIRE-$require}
jobs=${BINFMTD_PREFLIGHT_JOBS-$jobs}
on_failure=${BINFMTD_PREFLIGHT_ON_FAILURE-$on_failure}
timeout=${BINFMTD_PREFLIGHT_TIMEOUT-$timeout}
case $on_failure in
fail | warn) ;;
*) fault "BINFMTD_PREFLIGHT_ON_FAILURE is $on_failure: it can be fail or warn" ;;
esac

# go_on WORD…: the command, where there is one.
go_on() {
    [ $# -eq 0 ] || exec "$@"
    exit 0
}

if [ -n "$jobs" ] && [ -z "$job" ]; then
    # A runner that starts: other jobs can still be served.
    on_failure=warn
elif [ -n "$jobs" ]; then
    wanted=no
    for pattern in $jobs; do
        # shellcheck disable=SC2254
        case $name in
        $pattern) wanted=yes ;;
        esac
    done
    if [ "$wanted" = no ]; then
        echo "binfmtd preflight: not for $name"
        go_on "$@"
    fi
fi

# doctor WORD…: these targets alone are looked at, and they alone decide.
doctor() {
    set -- doctor --timeout "$timeout" "$@"
    if [ -n "$require" ]; then
        set -- "$@" --require "$require" --
        IFS=', '
        for target in $require; do
            set -- "$@" "$target"
        done
        unset IFS
    fi
    binfmtd "$@"
}

status=0
if ! command -v binfmtd >/dev/null; then
    say error "binfmtd: not found in $PATH"
    status=3
elif [ -n "${GITHUB_ACTIONS-}" ]; then
    # Where all is well, neither the page of the run nor the summary has a word of each job's preflight; the log has.
    # No room for that is no reason to keep a job from running.
    summary=$(mktemp "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/binfmtd-preflight.XXXXXX") || summary=''
    remove_summary() { [ -z "$summary" ] || rm -f "$summary"; }
    trap remove_summary EXIT
    said=$(GITHUB_STEP_SUMMARY=$summary doctor --format github) || status=$?
    if [ "$status" -eq 0 ]; then
        printf '%s\n' "$said" | sed 's/^::notice title=\([^:]*\)::/\1: /'
    elif [ "$on_failure" = warn ]; then
        printf '%s\n' "$said" | sed 's/^::error /::warning /'
    else
        printf '%s\n' "$said"
    fi
    if [ "$status" -ne 0 ] && [ -n "$summary" ] && [ -n "${GITHUB_STEP_SUMMARY-}" ]; then
        cat "$summary" >>"$GITHUB_STEP_SUMMARY" || say warning "$GITHUB_STEP_SUMMARY cannot be written"
    fi
    # What follows may be another program.
    remove_summary
else
    doctor || status=$?
fi
[ "$status" -ne 0 ] || go_on "$@"

# Who looks after the machines has to know which one it is.
here=${RUNNER_NAME-${CI_RUNNER_DESCRIPTION-$(uname -n)}}
if [ "$status" -eq 1 ]; then
    what="$here does not run programs of ${require:-every CPU that it is configured for}"
else
    what="$here: whether it runs programs of ${require:-other CPUs} could not be checked (status $status)"
fi
if [ "$on_failure" = warn ]; then
    say warning "$what"
    go_on "$@"
fi
if [ -n "$job" ]; then
    what="$what; nothing of this job was run: have it run again elsewhere, and see to this machine"
fi
say error "$what"
exit "$status"
