#!/usr/bin/env bash
# trees.sh: the small root tree that images are made of, and the five layers built on it.
# The same steps run in a container build and, by chroot, on a plain directory: what they make
# there is what the union must show. Sourced, not run.
# shellcheck disable=SC2034  # used where this is sourced
set -euo pipefail

# A tree with a static busybox and one of each kind of file; all times in 2001.
make_base_tree() {
  local tree=$1 applet
  mkdir -p "$tree"/{bin,sbin,etc,dev,proc,sys,tmp,run,root,var/lib,usr/bin,usr/share}
  cp "$(command -v busybox)" "$tree/bin/busybox"
  for applet in $("$tree/bin/busybox" --list); do
    [[ $applet == busybox ]] || ln -s busybox "$tree/bin/$applet"
  done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
  echo 'root:x:0:' >"$tree/etc/group"
  chmod 1777 "$tree/tmp"
  mkdir -p "$tree"/data/{keep,modify,delete/deep/deeper,replace/old,perms,links,names}
  local number
  for number in 1 2 3 4 5; do
    echo "keep $number" >"$tree/data/keep/$number"
    echo "modify $number" >"$tree/data/modify/$number"
    echo "delete $number" >"$tree/data/delete/deep/deeper/$number"
    echo "old $number" >"$tree/data/replace/old/$number"
    echo "perms $number" >"$tree/data/perms/$number"
  done
  head -c 3000000 /dev/urandom >"$tree/data/keep/big"
  head -c 3000000 /dev/urandom >"$tree/data/modify/big"
  truncate -s 20M "$tree/data/keep/sparse"
  echo "linked" >"$tree/data/links/a"
  ln "$tree/data/links/a" "$tree/data/links/b"
  ln "$tree/data/links/a" "$tree/data/links/c"
  ln -s ../keep/1 "$tree/data/links/relative"
  ln -s /data/keep/2 "$tree/data/links/absolute"
  ln -s nowhere "$tree/data/links/dangling"
  mkfifo "$tree/data/names/fifo"
  echo "odd" >"$tree/data/names/with space"
  echo "odd" >"$tree/data/names/"$'with\ttab'
  echo "odd" >"$tree/data/names/ümläut"
  echo "odd" >"$tree/data/names/$(printf 'n%.0s' $(seq 200))"
  chmod 4755 "$tree/data/perms/1"
  chmod 2775 "$tree/data/perms"
  chmod 0000 "$tree/data/perms/2"
  chown 1000:2000 "$tree/data/perms/3"
  find "$tree" -exec touch --no-dereference --date '2001-02-03 04:05:06 UTC' {} +
  # An engine puts files of its own there.
  touch "$tree/etc"
}

# The steps of the five layers; each is one RUN of the build.
layer_steps=(
  'echo more >>/data/modify/1; echo new >/data/modify/2; dd if=/data/keep/1 of=/data/modify/big bs=1 seek=1500000 conv=notrunc; : >/data/modify/3; mkdir /layer1; echo 1 >/layer1/file'
  'rm /data/modify/4; rm -r /data/delete/deep; rm /data/links/dangling; echo 2 >>/layer1/file'
  'chmod 600 /data/perms/4; chown 7:8 /data/perms/5; chmod 755 /data/perms/2; chmod 750 /data/keep; mkdir -m 2770 /data/perms/new; echo 3 >>/layer1/file'
  'ln /data/keep/3 /data/links/to-keep-3; echo 4 >>/data/links/to-keep-3; echo x >>/data/links/a; ln -s /layer1 /data/links/dir; mv /data/keep/4 /data/keep/four; mkfifo /layer1/fifo; rm /data/modify/big'
  'rm -r /data/replace; mkdir /data/replace; echo in >/data/replace/new; rm -r /data/names; echo file >/data/names; rm /data/keep/5; mkdir /data/keep/5; echo 5 >/data/keep/5/in; mkdir -p /data/delete/deep; echo back >/data/delete/deep/new'
)
# What a container then does on top of the image.
container_step='echo changed >>/data/modify/1; rm /data/keep/1; mkdir /data/added; echo a >/data/added/a; chmod 700 /layer1; rm -r /data/replace; mkdir /data/replace'
# and what `podman diff` must say of it.
container_diff='A /data/added
A /data/added/a
C /data
C /data/keep
C /data/modify
C /data/modify/1
C /data/replace
C /layer1
D /data/keep/1
D /data/replace/new'

write_containerfile() {
  local step
  echo "FROM localhost/base"
  for step in "${layer_steps[@]}"; do echo "RUN set -e; $step"; done
}

# The tree that the build must come to, made without a union.
make_expected_tree() {
  local base=$1 tree=$2 step
  cp -a "$base" "$tree"
  for step in "${layer_steps[@]}"; do chroot "$tree" /bin/sh -c "set -e; umask 022; $step" 2>/dev/null; done
}
