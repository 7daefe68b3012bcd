# What with-torch and test-wheel share: a Debian in a folder of its own. Sourced after common.sh; the caller sets release,
# debian (the folder), packages, wanted (what is missing here) and shared (folders of this machine that are readable there).
# shellcheck shell=bash

# is_made: whether the Debian is there with these packages.
is_made() {
  [[ -r $debian/lionstore-packages && $(<"$debian/lionstore-packages") == "${packages[*]}" ]]
}

# make_debian: installs into a folder beside it first, so that a folder that is there is whole.
make_debian() {
  local new=$debian.new log=$debian.log
  need_package debootstrap debootstrap
  mkdir -p -- "$root/target"
  say "$wanted: installing a Debian $release, a few minutes (log: $log)"
  rm -rf -- "$new" "$debian"
  {
    # What debootstrap mounts goes with it, even if it is killed.
    unshare --mount --propagation "$propagation" \
      debootstrap --variant=minbase --include=ca-certificates "$release" "$new" &&
      # The network's settings are this machine's.
      { cp -L /etc/resolv.conf /etc/hosts "$new/etc/" || true; } &&
      { cp /etc/apt/apt.conf.d/99* "$new/etc/apt/apt.conf.d/" 2>/dev/null || true; } &&
      in_folder "$new" env DEBIAN_FRONTEND=noninteractive apt-get --option Dpkg::Options::=--force-unsafe-io \
        install --yes --no-install-recommends "${packages[@]}" &&
      in_folder "$new" apt-get clean &&
      printf '%s\n' "${packages[*]}" >"$new/lionstore-packages" &&
      mv -- "$new" "$debian"
  } >"$log" 2>&1 </dev/null || {
    tail -n 5 "$log" >&2
    die "cannot install a Debian $release: are the packages of Debian reachable from here, and are 3 GB free? See $log;" \
      "$remedy would do instead"
  }
}

# require_mounts: checks that this process may mount, and says how in propagation. In a chroot the mount that / is of
# has no name and stays shared: what is mounted there is also unmounted by hand.
require_mounts() {
  ((EUID == 0)) || die "$wanted: run this as root on Debian, which makes a Debian $release that has it, or provide $remedy"
  command -v apt-get >/dev/null || die "$wanted: what makes a Debian $release that has it runs on Debian alone; provide $remedy"
  need_package mount mount
  for propagation in private unchanged; do
    if unshare --mount --propagation "$propagation" true 2>/dev/null; then
      return
    fi
  done
  die "$wanted, and this container may not mount, which a Debian $release that has it needs:" \
    "provide $remedy, or start the container with the capability SYS_ADMIN"
}

# in_folder FOLDER COMMAND...: chroots, with /proc, memory at /dev/shm, and the shared folders, to be read alone, at
# their places. None of it could be harmed if a killed script left it mounted and the folder were removed.
in_folder() {
  local folder=$1 here=$PWD
  shift
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount --propagation "$propagation" bash -c '
    set -euo pipefail
    folder=$1 here=$2 mounted=()
    shift 2
    unmount() {
      for place in "${mounted[@]}"; do umount --lazy -- "$folder$place"; done
    }
    trap unmount EXIT
    at() {
      mkdir -p -- "$folder$1"
      mount "${@:2}" "$folder$1"
      mounted=("$1" "${mounted[@]}")
    }
    at /proc --types proc proc
    at /dev/shm --types tmpfs tmpfs
    while [[ $1 != -- ]]; do
      at "$1" --options bind,ro -- "$1"
      shift
    done
    shift
    chroot "$folder" /usr/bin/env -C "$here" "$@"
  ' - "$folder" "$(case $here/ in "$root"/*) echo "$here" ;; *) echo / ;; esac)" "${shared[@]}" -- "$@"
}

# in_debian COMMAND...: runs a command there; makes it first if it is missing.
in_debian() {
  require_mounts
  if ! is_made; then
    # Two at once would remove what the other makes.
    mkdir -p -- "$root/target"
    exec {lock}>"$debian.lock"
    flock "$lock"
    is_made || make_debian
    exec {lock}>&-
  fi
  in_folder "$debian" "$@"
}
