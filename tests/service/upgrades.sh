# The scenarios of tests/upgrade against the unit. Sourced by `run`.
# shellcheck shell=sh

try_upgrades() {
    # Builds the binary as well.
    scenarios=$(cargo test --quiet --locked --no-run --test upgrade --message-format=json |
        sed -n 's/.*"executable":"\([^"]*\/upgrade-[^"]*\)".*/\1/p' | tail -1)
    [ -x "$scenarios" ] || die "the scenarios were not built"
    folder=$(mktemp -d /tmp/tollgate-service.XXXXXX)
    cp "${TOLLGATE_BIN:-target/debug/tollgate}" "$folder/tollgate"
    cp "$scenarios" "$folder/scenarios"
    cp systemd/tollgate.service systemd/tollgate.sysusers packaging/tollgate.yaml "$folder"
    code=0
    boot_host "$folder" || code=$?
    if [ "$code" = 0 ]; then
        install_unit
        # shellcheck disable=SC2086
        $IN env TOLLGATE_DRIVER=systemd TOLLGATE_BIN=/mnt/tollgate TOLLGATE_UPGRADES="${TOLLGATE_UPGRADES-50}" \
            /mnt/scenarios --test-threads 1 --nocapture ${TOLLGATE_SCENARIOS-} || code=$?
    fi
    halt
    rm -rf "$folder"
    return "$code"
}
