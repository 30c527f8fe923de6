#!/bin/busybox sh
# The first process of a test guest. Mounts what tests look into, then runs the lines that come over the console,
# one at a time: `ID COMMAND`, with the command in base64, so that no byte of it means anything to the terminal.
# Answers come between two marks, and everything the kernel prints meanwhile lies in front of the first or between them
# on lines of its own; so it is kept from printing.
export PATH=/bin HOME=/ PS1=
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tracefs trace /sys/kernel/tracing
mount -t tmpfs tmp /tmp
echo 0 >/proc/sys/kernel/kptr_restrict
dmesg -n 1
stty raw -echo </dev/console
ip link set lo up
echo "GUEST READY"
while read -r id command; do
  echo "$command" | base64 -d >/tmp/command
  printf 'BEGIN %s\n' "$id"
  sh /tmp/command </dev/null 2>&1
  printf 'END %s %s\n' "$id" "$?"
done
poweroff -f
