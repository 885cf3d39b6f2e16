# shellcheck shell=sh
# Sourced by the scripts that make an archive or a package; the working folder is the repository.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

usage() {
    sed -n '2s/^# //p' "$0" >&2
    exit 2
}

# require COMMAND PACKAGE: 3, could not be carried out.
require() {
    command -v "$1" >/dev/null || {
        say "$1: not found (Debian's package $2)"
        exit 3
    }
}

# Makes $scratch, which goes with the script. Takes the traps of EXIT, HUP, INT and TERM.
scratch_folder() {
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# The package's, as in Cargo.toml.
version() { sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml; }

# The same as packages sort it: 1.0.0~rc.1 is before 1.0.0.
package_version() { version | sed 's/-/~/'; }

# Of a binary, as uname calls it.
architecture() {
    case $(od -An -tx1 -j18 -N2 "$1" | tr -d ' ') in
    3e00) echo x86_64 ;;
    b700) echo aarch64 ;;
    f300) echo riscv64 ;;
    1500 | 0015) echo ppc64le ;;
    0016) echo s390x ;;
    *)
        say "$1: no program of a machine that packages are made for"
        return 3 ;;
    esac
}

# Seconds since 1970 of what is packed: of the last commit, or where the source is no clone, of the changelog's file.
epoch() {
    [ -z "${SOURCE_DATE_EPOCH-}" ] || { echo "$SOURCE_DATE_EPOCH" && return; }
    if [ -e .git ]; then git log -1 --format=%ct; else stat --format=%Y CHANGELOG.md; fi
}

# Who packages are by, as NAME <ADDRESS>: DEBFULLNAME and DEBEMAIL say it, as to Debian's own tools. Without them it is an
# address that nobody can have (RFC 2606), rather than one that looks as if somebody read it: the project has none, and the
# fields for bugs lead to where it listens.
packager() { echo "${DEBFULLNAME:-The binfmtd project} <${DEBEMAIL:-nobody@binfmtd.invalid}>"; }

# What is new, a point a line: those of the first section of the changelog that has any.
news() {
    awk '
        function point() { if (words != "") print words; words = "" }
        /^## / && said { exit }
        /^- / { point(); words = substr($0, 3); said = 1; next }
        /^  / && words != "" { sub(/^ */, ""); words = words " " $0; next }
        { point() }
        END { point() }' CHANGELOG.md
}

# The files in these folders that git knows, one a line, as they are now; where the source is no clone, all there are.
tracked() {
    if [ -e .git ]; then
        names=$(git ls-files --cached -- "$@") || return 3
    else
        names=$(find "$@" -type f)
    fi
    echo "$names" | while read -r file; do
        [ ! -e "$file" ] || echo "$file"
    done
}
