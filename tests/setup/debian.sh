# shellcheck shell=sh
# Sourced by what fetches packages of another Debian suite without installing them. /etc/apt is only read: a source for the
# suite is derived from the machine's own, with lists, cache and state in a folder of the caller's. How to use it:
#
#   . tests/setup/debian.sh
#   debian_tools apt-get dpkg-deb || exit      # what is missing is named; 3
#   work_folder "$cache/.trixie.XXXXXX"        # $work, removed at the end whatever happens
#   debian_apt trixie "$work" || exit          # exports APT_CONFIG, sets $debian_mirror; no network yet
#   try apt-get -qq update || exit
#   cd "$work" && try apt-get -qq download PACKAGE…
#   debootstrap --variant=minbase trixie ROOT "$debian_mirror"
#
# All return 3 (could not be carried out) with a sentence on stderr.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# debian_tools COMMAND…
debian_tools() {
    for tool; do
        command -v "$tool" >/dev/null || {
            say "$tool: not found (this needs Debian's tools and a mirror of Debian)"
            return 3
        }
    done
}

# work_folder TEMPLATE: makes $work, which goes with the script. Takes the traps of EXIT, HUP, INT and TERM.
work_folder() {
    mkdir -p "${1%/*}" && work=$(mktemp -d "$1") || return
    trap 'rm -rf "$work"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# deb822: the first enabled stanza with an -updates suite, its suites and components replaced.
debian_from_deb822() { # SUITE FILE
    awk -v suite="$1" '
        function end_of_stanza() {
            if (suites ~ /-updates([ \t]|$)/ && enabled && types ~ /(^|[ \t])deb([ \t]|$)/) {
                printf "Types: deb\nSuites: %s\nComponents: main\nTargets: Packages\n%s", suite, kept
                found = 1
                exit
            }
            kept = suites = types = field = ""; enabled = 1
        }
        BEGIN { enabled = 1 }
        /^#/ { next }
        /^[ \t]*$/ { end_of_stanza(); next }
        /^[^ \t]/ { field = tolower($0); sub(/[ \t]*:.*/, "", field); value = $0; sub(/^[^:]*:[ \t]*/, "", value) }
        /^[ \t]/ { value = $0 }
        field == "suites" { suites = suites " " value; next }
        field == "types" { types = types " " value; next }
        field == "enabled" { enabled = tolower(value) !~ /^(no|false|off|0)/; next }
        field ~ /^(components|architectures|languages|targets|pdiffs|snapshot)$/ { next }
        { kept = kept $0 "\n" }
        END { if (!found) { end_of_stanza() } }' "$2"
}

# One line: the first `deb [options] URI SUITE-updates component…`, its suite and components replaced.
debian_from_one_line() { # SUITE FILE
    awk -v suite="$1" '
        $1 == "deb" && / [^ ]*-updates( |$)/ {
            options = "target=Packages"
            if (match($0, /\[[^]]*\]/)) {
                options = options " " substr($0, RSTART + 1, RLENGTH - 2)
                $0 = substr($0, 1, RSTART - 1) " " substr($0, RSTART + RLENGTH)
            }
            print "deb [" options "] " $2 " " suite " main"
            exit
        }' "$2"
}

# debian_apt SUITE FOLDER (an absolute path): from here on apt-get in this script knows that suite alone; $debian_mirror is the base of its
# archive.
debian_apt() {
    debian_suite=$1
    mkdir -p "$2/apt/lists/partial" "$2/apt/cache/archives/partial" || return 3
    : >"$2/apt/status"
    eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
    debian_source=/dev/null
    # shellcheck disable=SC2154
    for file in "$parts"/*.sources "$parts"/*.list "$list"; do
        [ -r "$file" ] || continue
        case $file in
        *.sources) debian_source=$2/apt/suite.sources && debian_from_deb822 "$1" "$file" >"$debian_source" ;;
        *) debian_source=$2/apt/suite.list && debian_from_one_line "$1" "$file" >"$debian_source" ;;
        esac
        [ ! -s "$debian_source" ] || break
    done
    [ -s "$debian_source" ] || {
        say 'no apt source with an -updates suite to derive one from'
        return 3
    }

    # The machine's configuration (proxies and so on) less its hooks, which would act on the machine's own cache.
    {
        apt-config dump | grep -vE '^(APT::Update::P|DPkg::)'
        cat <<END
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "$debian_source";
Dir::Etc::sourceparts "/dev/null";
Dir::State "$2/apt";
Dir::State::lists "$2/apt/lists";
Dir::State::status "$2/apt/status";
Dir::Cache "$2/apt/cache";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
APT::Sandbox::User "$(id -un)";
APT::Update::Error-Mode "any";
END
    } >"$2/apt/apt.conf"
    export APT_CONFIG="$2/apt/apt.conf"
    # --no-release-info: else only what an update has downloaded is listed.
    # shellcheck disable=SC2016,SC2034
    debian_mirror=$(apt-get indextargets --no-release-info --format '$(REPO_URI)' | head -n 1)
}

# try COMMAND…: a mirror may be out of step for a moment.
try() {
    for pause in 5 15 0; do
        "$@" >&2 && return
        [ "$pause" = 0 ] || say "'$*' failed, trying again in $pause seconds"
        sleep "$pause"
    done
    say "'$*' failed; does the machine's mirror carry Debian's $debian_suite?"
    return 3
}
