# Boots systemd in a container, for tests that need a real service manager. To be sourced; needs root.
# shellcheck shell=sh
#
#   boot_host DIR …    a container on this machine's own /usr, on top of which writes are forgotten; DIR is its /mnt, read-only;
#                      what follows are more arguments of systemd-nspawn, such as --bind=PATH
#   boot_debian DIR    the same on a clean Debian, made once and kept in $CONTAINER_CACHE
#   $IN COMMAND …      runs a command in there, with its network, processes and files
#   halt               ends it; also at the end of the script
#
# A container has a network of its own, which is loopback only. Where no container can be booted, both say so
# in one line and return 77.

CONTAINER_CACHE=${CONTAINER_CACHE:-/var/tmp/tollgate-container}
container_pid=
container_dir=

say() { echo "$*" >&2; }
die() {
    say "FAILED: $*"
    exit 1
}

# Tries a command for some seconds.
within() {
    container_until=$(($(date +%s) + $1))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt "$container_until" ] || return 1
        sleep 0.05
    done
}

# Says why no container can be booted, if so.
container_lack() {
    [ "$(id -u)" = 0 ] || { echo "not root" && return; }
    if ! command -v systemd-nspawn >/dev/null || ! [ -x /lib/systemd/systemd ]; then
        command -v apt-get >/dev/null || { echo "no systemd-nspawn, and no apt-get to install it" && return; }
        say "installing: systemd systemd-container"
        { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends \
            systemd systemd-container; } >/dev/null 2>&1 || { echo "systemd-container cannot be installed" && return; }
    fi
    unshare --mount --net true 2>/dev/null || echo "this machine lets nobody make namespaces"
}

# A control group of its own in every hierarchy, else two containers would take each other's services for theirs.
container_groups() {
    for group in /sys/fs/cgroup /sys/fs/cgroup/*; do
        [ -f "$group/cgroup.procs" ] && [ ! -L "$group" ] && echo "$group/tollgate-$$"
    done
}

boot() { # arguments of systemd-nspawn
    container_dir=$(mktemp -d /tmp/tollgate-container.XXXXXX)
    # A new one of the hierarchy cpuset lacks what a process has to have there, which does not matter.
    # shellcheck disable=SC2016 # for the shell that becomes systemd-nspawn
    setsid sh -c 'for group in $0; do mkdir -p "$group" && echo $$ >"$group/cgroup.procs"; done 2>/dev/null; exec "$@"' \
        "$(container_groups)" systemd-nspawn "$@" --machine="tollgate-$$" --register=no --keep-unit --boot --console=read-only \
        --private-network -- systemd.firstboot=off systemd.mask=systemd-firstboot.service \
        systemd.mask=systemd-networkd-wait-online.service systemd.unit=basic.target \
        </dev/null >"$container_dir/console" 2>&1 &
    container_nspawn=$!
    if ! within 60 container_is_up; then
        say "skipped: systemd does not come up in a container: $(tail -1 "$container_dir/console")"
        halt
        return 77
    fi
}

# While it boots, systemd-nspawn has other children, too.
container_is_up() {
    container_pid=$(ps -o pid= --ppid "$container_nspawn" | tail -1 | tr -d ' ')
    IN="nsenter -t $container_pid -m -u -i -n -p -C --"
    [ -n "$container_pid" ] && $IN systemctl -q is-active basic.target 2>/dev/null
}

boot_host() {
    container_why=$(container_lack)
    [ -z "$container_why" ] || { say "skipped: $container_why" && return 77; }
    container_mnt=$1
    shift
    boot -D / --volatile=yes --bind-ro="$container_mnt:/mnt" "$@" || return
    # The unit names /usr/bin/tollgate: what is written to /usr stays in the container.
    $IN sh -c 'mkdir -p /run/usr/upper /run/usr/work &&
        mount -t overlay overlay -o lowerdir=/usr,upperdir=/run/usr/upper,workdir=/run/usr/work /usr'
}

boot_debian() {
    container_why=$(container_lack)
    [ -z "$container_why" ] || { say "skipped: $container_why" && return 77; }
    if ! [ -e "$CONTAINER_CACHE/debian/ready" ]; then
        command -v mmdebstrap >/dev/null ||
            DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends mmdebstrap >/dev/null 2>&1 ||
            { say "skipped: mmdebstrap cannot be installed" && return 77; }
        say "making a clean Debian, which takes a minute"
        rm -rf "$CONTAINER_CACHE/debian"
        mkdir -p "$CONTAINER_CACHE"
        mmdebstrap --quiet --variant=minbase \
            --include=systemd,systemd-sysv,dbus,iproute2,procps,curl,ca-certificates,init-system-helpers,logrotate \
            bookworm "$CONTAINER_CACHE/debian" >/dev/null 2>&1 ||
            { say "skipped: no Debian can be made here" && return 77; }
        : >"$CONTAINER_CACHE/debian/ready"
    fi
    container_root=$(mktemp -d /tmp/tollgate-root.XXXXXX)
    mount -t tmpfs tmpfs "$container_root" || return
    mkdir "$container_root/upper" "$container_root/work" "$container_root/all"
    mount -t overlay overlay "$container_root/all" \
        -o "lowerdir=$CONTAINER_CACHE/debian,upperdir=$container_root/upper,workdir=$container_root/work" || return
    boot -D "$container_root/all" --bind-ro="$1:/mnt"
}

container_is_gone() { ! kill -0 "$container_nspawn" 2>/dev/null || [ "$(ps -o stat= -p "$container_nspawn" | cut -c1)" = Z ]; }

halt() {
    if [ -n "${container_nspawn-}" ]; then
        # The container's first process takes all others along.
        [ -z "$container_pid" ] || kill -KILL "$container_pid" 2>/dev/null
        within 10 container_is_gone || kill -KILL "$container_nspawn" 2>/dev/null
        wait "$container_nspawn" 2>/dev/null
    fi
    for group in $(container_groups); do
        [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
    done
    if [ -n "${container_root-}" ]; then
        umount -l "$container_root/all" 2>/dev/null
        umount -l "$container_root" 2>/dev/null
        rmdir "$container_root" 2>/dev/null
    fi
    [ -z "$container_dir" ] || rm -rf "$container_dir"
    container_pid='' container_dir='' container_nspawn='' container_root=''
}
trap halt EXIT
trap 'exit 130' INT TERM
