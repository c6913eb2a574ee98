#!/bin/sh
# Written by Relevo: the forced command of an origin's key on the recovery host.
# It says who has the write right of one instance, and can do nothing else.
# A watcher is told every other second, and asked to come again after ten minutes. Who asks because
# it is about to write leaves the time of its question: a failover under way must know.
# The folder may be another user's: no link is followed, no pipe waited for, and no more than a line
# of 64 KB is read.
say() {
    line=$(dd if="$1" iflag=nofollow,nonblock bs=64K count=1 status=none 2>/dev/null | head -n 1)
    printf '%s\n' "${line:-unknown}"
}
case "$SSH_ORIGINAL_COMMAND" in
once) say "$1" ;;
start)
    touch -h "${1%/*}/asked"
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
