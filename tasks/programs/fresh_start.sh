#!/bin/sh
# Written by Relevo: before a cluster starts, remove the postmaster.pid that a power cut has left in
# its data directory, unless a process works there. Debian asks less: any process of that number
# with "postgres" in its command line is taken for this cluster, which then is not started.
# It runs as the cluster's owner, who sees where the owner's own processes work, and no others.
for cwd in /proc/[0-9]*/cwd; do
    [ "$cwd" -ef "$1" ] && exit 0
done
rm -f "$1/postmaster.pid"
