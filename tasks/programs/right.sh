#!/bin/sh
# Written by Relevo: the forced command of an origin's key on the recovery host.
# It says who has the write right of one instance, and can do nothing else.
# A watcher is told every other second, and asked to come again after ten minutes. Who asks because
# it is about to write leaves the time of its question: a failover under way must know.
say() {
    if [ -s "$1" ]; then head -n 1 "$1"; else echo unknown; fi
}
case "$SSH_ORIGINAL_COMMAND" in
once) say "$1" ;;
start)
    touch "${1%/*}/asked"
    say "$1"
    ;;
watch)
    n=0
    while [ "$n" -lt 300 ] && say "$1"; do
        n=$((n + 1))
        sleep 2
    done
    ;;
*)
    echo "relevo: this key asks who has the write right, and does nothing else" >&2
    exit 1
    ;;
esac
