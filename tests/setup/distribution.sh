# shellcheck shell=sh
# Sourced by demo and install: what this distribution is, and how it gets its packages.
# BINFMTD_SETUP_ROOT stands for / wherever a file is looked for, so that tests can play another distribution.

root=${BINFMTD_SETUP_ROOT-}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    elif command -v doas >/dev/null; then
        doas "$@"
    else
        say "cannot run '$*': not root, and neither sudo nor doas is here"
        return 4
    fi
}

# The first of ID and ID_LIKE that we know: debian, fedora, arch, alpine; else "unknown".
distribution_family() {
    for file in "$root/etc/os-release" "$root/usr/lib/os-release"; do
        [ -r "$file" ] || continue
        for id in $(
            # shellcheck disable=SC1090
            . "$file"
            printf '%s %s' "${ID-}" "${ID_LIKE-}"
        ); do
            case $id in
            debian | ubuntu) echo debian && return ;;
            fedora | arch | alpine) echo "$id" && return ;;
            esac
        done
        break
    done
    echo unknown
}

family=$(distribution_family)

# Makes sure that install_packages has a list of packages to choose from.
refresh_packages() {
    case $family in
    debian) as_root apt-get -qq -o Acquire::Retries=3 update ;;
    alpine) as_root apk update --quiet ;;
    arch) # Never without need: a refreshed list on a machine that is not upgraded mixes two states of Arch.
        for list in "$root"/var/lib/pacman/sync/*.db; do
            [ -e "$list" ] || as_root pacman -Sy --noconfirm
            break
        done ;;
    esac
}

# Package manager's output goes to stderr. Recommended packages stay out: on Debian they bring binfmt-support, which
# registers rules on the host and takes them back at will.
install_packages() {
    case $family in
    debian)
        as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq -o Dpkg::Use-Pty=0 \
            -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 install --no-install-recommends "$@" ;;
    fedora) as_root dnf -y --quiet --setopt=install_weak_deps=False install "$@" ;;
    arch) as_root pacman -S --needed --noconfirm "$@" ;;
    alpine) as_root apk add --quiet "$@" ;;
    *)
        say "do not know how this distribution installs packages; needed: $*"
        return 3 ;;
    esac >&2
}

# From 9.2 on, Debian's and Ubuntu's qemu-user is static and qemu-user-static only refers to it.
static_qemu_user() { dpkg --compare-versions "$1" ge 1:9.2; }

# Emulators that a kernel can pin: static ones.
qemu_present() {
    for file in "$root"/usr/bin/qemu-*-static "$root"/usr/local/bin/qemu-*-static; do
        [ -x "$file" ] && return
    done
    case $family in
    debian)
        # shellcheck disable=SC2016
        version=$(dpkg-query -W -f '${db:Status-Status} ${Version}' qemu-user 2>/dev/null) &&
            [ "${version% *}" = installed ] && static_qemu_user "${version#* }" ;;
    alpine)
        for target in $alpine_targets; do
            [ -x "$root/usr/bin/qemu-$target" ] && return
        done
        return 1 ;;
    *) return 1 ;;
    esac
}

# Alpine has one package for each target: those that container images are published for.
alpine_targets='aarch64 arm i386 loongarch64 mips64 mips64el ppc64le riscv64 s390x x86_64'

# The packages with static emulators, one a line. Run refresh_packages before.
qemu_packages() {
    case $family in
    debian)
        candidate=$(LC_ALL=C apt-cache policy qemu-user | awk '$1 == "Candidate:" { print $2 }')
        if [ -n "$candidate" ] && [ "$candidate" != '(none)' ] && static_qemu_user "$candidate"; then
            echo qemu-user
        else
            echo qemu-user-static
        fi ;;
    alpine)
        native=$(uname -m)
        for target in $alpine_targets; do
            [ "$target" = "$native" ] || apk search --quiet --exact "qemu-$target" || :
        done ;;
    *) echo qemu-user-static ;;
    esac
}
