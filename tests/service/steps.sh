# What is tried in the container: the unit put in place by hand, and the Debian package. Sourced by `run`.
# shellcheck shell=sh

step() { say "-- $*"; }
show() { $IN systemctl show -P "$1" tollgate; }
main_pid() { show MainPID; }
expect() { # what it is, what is expected, what there is
    [ "$2" = "$3" ] || {
        $IN journalctl -u tollgate --no-pager -n 40 >&2
        die "$1: expected '$2', got '$3'"
    }
}
# How many processes of the service there are, old ones included.
processes() { $IN sh -c 'pgrep -c -u tollgate || true'; }

# Puts everything in its place as the README says for an installation by hand; /mnt holds the files.
install_unit() {
    $IN sh -eu <<'END'
install -m 755 /mnt/tollgate /usr/bin/tollgate
install -m 644 /mnt/tollgate.sysusers /usr/lib/sysusers.d/tollgate.conf
systemd-sysusers tollgate.conf
install -d -m 750 -g tollgate /etc/tollgate
install -d -m 2750 -g tollgate /etc/tollgate/credentials
install -m 640 -g tollgate /mnt/tollgate.yaml /etc/tollgate/tollgate.yaml
install -m 644 /mnt/tollgate.service /etc/systemd/system/tollgate.service
systemctl daemon-reload
END
}

# A provider in the container, and a key for it.
start_mock() { # the binary
    $IN systemd-run --quiet --unit=mock "$1" mock --listen 127.0.0.1:9900
    $IN sh -eu <<'END'
printf 'first-key\n' >/etc/tollgate/credentials/openai
# So that a stream which is told to end does not live to its end.
sed -i 's/^server:$/&\n  drain: 2s/' /etc/tollgate/tollgate.yaml
cat >>/etc/tollgate/tollgate.yaml <<YAML
providers:
  openai:
    base_url: http://127.0.0.1:9900/v1
    keys:
      - "\${credential:openai}"
YAML
END
    within 10 $IN curl -sf -o /dev/null http://127.0.0.1:9900/__mock/stats || die "the mock does not start"
}

# The status of one request through the gateway.
ask() {
    $IN curl -s -o /dev/null -w '%{http_code}' -m 20 http://127.0.0.1:8787/v1/me/default/openai/chat/completions \
        -H 'content-type: application/json' \
        -d '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}' || true
}
is_ready() { $IN curl -sf -o /dev/null http://127.0.0.1:9787/readyz; }
# The key that the provider was last shown.
shown_key() {
    $IN curl -s http://127.0.0.1:9900/__mock/last | grep -o 'Bearer [a-z-]*' | head -1
}
# Whether a stream of some seconds came whole: starts it behind our back, then `stream_is_whole` waits.
start_stream() { # seconds
    $IN curl -sN -m 60 http://127.0.0.1:8787/v1/me/default/openai/chat/completions \
        -H 'content-type: application/json' -H "x-mock: chunk-delay=500,chunks=$((2 * $1))" \
        -d '{"model": "gpt-4o-mini", "stream": true, "messages": [{"role": "user", "content": "hello"}]}' \
        >"$container_dir/stream" 2>&1 &
    stream_pid=$!
    within 10 grep -q data: "$container_dir/stream" || die "the stream does not begin"
}
stream_is_whole() { wait "$stream_pid" && grep -q '\[DONE\]' "$container_dir/stream"; }

# Asks one request after the other behind our back, until `all_were_answered` looks.
start_asking() {
    : >"$container_dir/asked"
    while [ -e "$container_dir/asked" ]; do
        ask
        echo
    done >"$container_dir/answers" &
    asking=$!
}
all_were_answered() {
    rm "$container_dir/asked"
    wait "$asking"
    say "   $(grep -c . "$container_dir/answers") requests meanwhile"
    expect "answers other than 200" "" "$(grep -v '^200$' "$container_dir/answers" || true)"
    grep -q 200 "$container_dir/answers" || die "nothing was asked"
}

try_unit() {
    binary=${TOLLGATE_BIN-}
    if [ -z "$binary" ]; then
        cargo build --quiet --locked
        binary=target/debug/tollgate
    fi
    folder=$(mktemp -d /tmp/tollgate-service.XXXXXX)
    cp "$binary" "$folder/tollgate"
    cp systemd/tollgate.service systemd/tollgate.sysusers packaging/tollgate.yaml "$folder"
    code=0
    boot_host "$folder" || code=$?
    if [ "$code" = 0 ]; then
        install_unit
        start_mock /mnt/tollgate
        step_start
        step_security
        step_reload
        step_rotate
        step_loaded_key
        step_refused_config
        step_upgrade
        step_refused_binary
        step_crash
        step_watchdog
        step_stop
    fi
    halt
    rm -rf "$folder"
    return "$code"
}

step_start() {
    step start
    $IN systemctl start tollgate
    expect "is-active" active "$($IN systemctl is-active tollgate)"
    is_ready || die "started, but not ready"
    expect "a request" 200 "$(ask)"
    expect "the key" "Bearer first-key" "$(shown_key)"
    within 5 $IN grep -q '"status_code":200' /var/log/tollgate/requests.ndjson || die "no line in the request log"
    expect "who runs" tollgate "$($IN ps -o user= -p "$(main_pid)")"
}

step_security() {
    step "systemd-analyze"
    level=$($IN systemd-analyze security tollgate --no-pager | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
    say "   exposure $level"
    [ -n "$level" ] && [ "$(echo "$level" | tr -d .)" -le 15 ] || die "exposure $level is more than 1.5"
    $IN systemd-analyze verify --man=no tollgate.service || die "the unit has faults"
}

step_reload() {
    step reload
    pid=$(main_pid)
    $IN systemctl reload tollgate || die "it does not reload"
    expect "the process after a reload" "$pid" "$(main_pid)"
    expect "a request" 200 "$(ask)"
}

step_rotate() {
    step "another key"
    $IN sh -c 'echo second-key >/etc/tollgate/credentials/openai'
    $IN systemctl reload tollgate || die "it does not reload"
    expect "a request" 200 "$(ask)"
    expect "the key" "Bearer second-key" "$(shown_key)"
}

step_loaded_key() {
    step "a key that only systemd can read"
    $IN chown root:root /etc/tollgate/credentials/openai
    $IN chmod 600 /etc/tollgate/credentials/openai
    $IN systemctl restart tollgate || die "it does not restart"
    $IN systemctl reload tollgate || die "the copy that systemd made does not serve"
    expect "the key" "Bearer second-key" "$(ask >/dev/null; shown_key)"
    $IN sh -c 'echo third-key >/etc/tollgate/credentials/openai'
    if $IN systemctl reload tollgate 2>/dev/null; then die "a key was taken that had changed and cannot be read"; fi
    expect "a request" 200 "$(ask)"
    $IN systemctl restart tollgate || die "it does not restart"
    expect "the key" "Bearer third-key" "$(ask >/dev/null; shown_key)"
}

step_refused_config() {
    step "a configuration with a mistake"
    pid=$(main_pid)
    $IN sh -c 'cp -p /etc/tollgate/tollgate.yaml /run/good.yaml; echo "nonsense: 1" >>/etc/tollgate/tollgate.yaml'
    if $IN systemctl reload tollgate 2>/dev/null; then die "a faulty configuration was taken"; fi
    expect "the process" "$pid" "$(main_pid)"
    expect "a request" 200 "$(ask)"
    $IN journalctl -u tollgate -p err --no-pager | grep -q nonsense || die "the journal does not say why, as an error"
    $IN cp -p /run/good.yaml /etc/tollgate/tollgate.yaml
    $IN systemctl reload tollgate || die "it does not reload once it is mended"
}

# Another file with the same program in it, put in place as a package does.
replace_binary() {
    $IN sh -eu <<'END'
cp /usr/bin/tollgate /usr/bin/tollgate.new
echo >>/usr/bin/tollgate.new
mv /usr/bin/tollgate.new /usr/bin/tollgate
END
}

step_upgrade() {
    step upgrade
    pid=$(main_pid)
    start_stream 8
    replace_binary
    $IN systemctl reload tollgate || die "it does not upgrade"
    [ "$(main_pid)" != "$pid" ] || die "the old process is still the main one"
    expect "is-active" active "$($IN systemctl is-active tollgate)"
    expect "a request" 200 "$(ask)"
    stream_is_whole || die "the stream was cut: $(tail -c 200 "$container_dir/stream")"
    within 20 $IN sh -c "! kill -0 $pid 2>/dev/null" || die "the old process does not end"
    expect "processes" 1 "$(processes)"
    expect "restarts" 0 "$(show NRestarts)"
}

step_refused_binary() {
    step "a binary that cannot run"
    pid=$(main_pid)
    $IN sh -c 'cp /usr/bin/tollgate /run/good; echo garbage >/usr/bin/tollgate.new
        chmod 755 /usr/bin/tollgate.new; mv /usr/bin/tollgate.new /usr/bin/tollgate'
    if $IN systemctl reload tollgate 2>/dev/null; then die "a garbage binary was taken"; fi
    expect "the process" "$pid" "$(main_pid)"
    expect "a request" 200 "$(ask)"
    $IN sh -c 'cp /run/good /usr/bin/tollgate.new; mv /usr/bin/tollgate.new /usr/bin/tollgate'
}

step_crash() {
    step "a crash of the main process, beside an older one that still streams"
    start_stream 8
    replace_binary
    $IN systemctl reload tollgate || die "it does not upgrade"
    pid=$(main_pid)
    $IN kill -KILL "$pid"
    expect "a request during the restart" 200 "$(ask)"
    [ "$(main_pid)" != "$pid" ] || die "it was not restarted"
    expect "restarts" 1 "$(show NRestarts)"
    stream_is_whole || die "the stream was cut: $(tail -c 200 "$container_dir/stream")"
}

step_watchdog() {
    step "a main process that hangs"
    $IN sh -c 'mkdir -p /run/systemd/system/tollgate.service.d
        printf "[Service]\nWatchdogSec=2\n" >/run/systemd/system/tollgate.service.d/watchdog.conf; systemctl daemon-reload'
    $IN systemctl restart tollgate
    replace_binary
    $IN systemctl reload tollgate || die "it does not upgrade"
    pid=$(main_pid) restarts=$(show NRestarts)
    sleep 5
    expect "restarts of a successor that works" "$restarts" "$(show NRestarts)"
    $IN kill -STOP "$pid"
    within 20 is_another "$pid" || die "it was not restarted"
    expect "a request during the restart" 200 "$(ask)"
    $IN sh -c 'rm -r /run/systemd/system/tollgate.service.d; systemctl daemon-reload; systemctl restart tollgate'
}
is_another() { [ "$(main_pid)" != "$1" ] && [ "$(main_pid)" != 0 ]; }

step_stop() {
    step "a stop, beside an older process that still streams"
    start_stream 30
    replace_binary
    $IN systemctl reload tollgate || die "it does not upgrade"
    expect "processes" 2 "$(processes)"
    $IN systemctl stop tollgate
    expect "is-active" inactive "$($IN systemctl is-active tollgate || true)"
    expect "processes" 0 "$(processes)"
    ! $IN test -e /run/tollgate || die "/run/tollgate is still there"
}

try_deb() {
    package=${TOLLGATE_DEB-}
    if [ -z "$package" ] && ! cargo deb --version >/dev/null 2>&1; then
        say "skipped: cargo-deb is not installed (cargo install cargo-deb --locked)"
        return 77
    fi
    [ -n "$package" ] || package=$(CARGO_PROFILE=${CARGO_PROFILE-dev} packaging/deb)
    folder=$(mktemp -d /tmp/tollgate-service.XXXXXX)
    cp "$package" "$folder/first.deb"
    # The next version: another number, another file.
    dpkg-deb -R "$package" "$folder/next"
    sed -i 's/^Version: .*/&+next/' "$folder/next/DEBIAN/control"
    echo >>"$folder/next/usr/bin/tollgate"
    dpkg-deb --root-owner-group -Znone -b "$folder/next" "$folder/next.deb" >/dev/null
    code=0
    boot_debian "$folder" || code=$?
    if [ "$code" = 0 ]; then
        step_install
        step_package_upgrade
        step_remove
        step_install_again
        step_purge
    fi
    halt
    rm -rf "$folder"
    return "$code"
}

# Everything that a package may leave behind.
files() {
    $IN find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/tmp -o -path /var/log/journal \
        -o -path /var/lib/dpkg -o -path /var/log/dpkg.log -o -path /var/cache -o -path /run/systemd -o -path /run/log -o -path /root \) -prune -o -print | sort
    $IN cat /etc/passwd /etc/group | sort
}

step_install() {
    step install
    files >"$container_dir/before"
    $IN dpkg -i /mnt/first.deb >"$container_dir/dpkg" 2>&1 || die "dpkg: $(cat "$container_dir/dpkg")"
    expect "is-enabled" enabled "$($IN systemctl is-enabled tollgate)"
    expect "is-active" active "$($IN systemctl is-active tollgate)"
    within 10 is_ready || die "installed, but not ready"
    expect "conffile" "640 root tollgate" "$($IN stat -c '%a %U %G' /etc/tollgate/tollgate.yaml)"
    expect "credentials" "2750 root tollgate" "$($IN stat -c '%a %U %G' /etc/tollgate/credentials)"
    for file in man/man1/tollgate.1.gz bash-completion/completions/tollgate zsh/vendor-completions/_tollgate \
        fish/vendor_completions.d/tollgate.fish; do
        $IN test -s "/usr/share/$file" || die "/usr/share/$file is missing"
    done
    $IN logrotate --debug /etc/logrotate.d/tollgate >"$container_dir/logrotate" 2>&1 || die "$(cat "$container_dir/logrotate")"
    start_mock /usr/bin/tollgate
    $IN systemctl reload tollgate || die "it does not reload"
    expect "a request" 200 "$(ask)"
}

step_package_upgrade() {
    step "upgrade of the package, beside a stream and requests"
    pid=$(main_pid) started=$(show ActiveEnterTimestampMonotonic)
    start_stream 10
    start_asking
    $IN dpkg -i /mnt/next.deb >"$container_dir/dpkg" 2>&1 || die "dpkg: $(cat "$container_dir/dpkg")"
    [ "$(main_pid)" != "$pid" ] || die "the old version still runs: $(cat "$container_dir/dpkg")"
    expect "when it was started" "$started" "$(show ActiveEnterTimestampMonotonic)"
    expect "a request" 200 "$(ask)"
    stream_is_whole || die "the stream was cut: $(tail -c 200 "$container_dir/stream")"
    all_were_answered
    $IN grep -q credential:openai /etc/tollgate/tollgate.yaml || die "the configuration was replaced"
}

step_remove() {
    step remove
    $IN dpkg -r tollgate >"$container_dir/dpkg" 2>&1 || die "dpkg: $(cat "$container_dir/dpkg")"
    expect "is-active" inactive "$($IN systemctl is-active tollgate || true)"
    expect "processes" 0 "$(processes)"
    $IN test -s /etc/tollgate/tollgate.yaml || die "the configuration went along"
}

step_install_again() {
    step "install again"
    $IN dpkg -i /mnt/first.deb >"$container_dir/dpkg" 2>&1 || die "dpkg: $(cat "$container_dir/dpkg")"
    within 10 is_ready || die "installed, but not ready"
    expect "a request" 200 "$(ask)"
}

step_purge() {
    step purge
    $IN systemctl stop mock
    $IN dpkg --purge tollgate >"$container_dir/dpkg" 2>&1 || die "dpkg: $(cat "$container_dir/dpkg")"
    files >"$container_dir/after"
    left=$(comm -13 "$container_dir/before" "$container_dir/after")
    expect "what is left" "" "$left"
    expect "processes" 0 "$($IN sh -c 'pgrep -c tollgate || true')"
}
