# What lionstore and verify share. Sourced, not run; the caller has set -euo pipefail.
# shellcheck shell=bash

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)

say() { printf 'lionstore: %s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# jdk_version HOME: the version of the JDK there; fails for a JRE and for anything before 25.
# It reads HOME/release because starting a JVM for every candidate would cost a second.
jdk_version() {
  local line pattern='^JAVA_VERSION="?(([0-9]+)[^"]*)'
  [[ -x $1/bin/java && -x $1/bin/javac && -r $1/release ]] || return 1
  while IFS= read -r line; do
    if [[ $line =~ $pattern ]]; then
      ((BASH_REMATCH[2] >= 25)) || return 1
      printf '%s\n' "${BASH_REMATCH[1]}"
      return
    fi
  done <"$1/release"
  return 1
}

# newest_jdk HOME...: the home of the newest suitable JDK among those given.
newest_jdk() {
  local home version
  for home; do
    if version=$(jdk_version "$home"); then
      printf '%s\t%s\n' "$version" "$home"
    fi
  done | sort -V | tail -n 1 | cut -f 2-
}

jdk_on_path() {
  local java
  if java=$(command -v java) && java=$(readlink -f "$java"); then
    newest_jdk "${java%/bin/java}"
  fi
}

# find_jdk: exports JAVA_HOME, or ends with what was looked for.
find_jdk() {
  local home
  home=$(newest_jdk "${JAVA_HOME:-}")
  [[ -n $home ]] || home=$(jdk_on_path)
  [[ -n $home ]] || home=$(newest_jdk /usr/lib/jvm/*)
  [[ -n $home ]] || home=$(newest_jdk /opt/*jdk*)
  [[ -n $home ]] || home=$(newest_jdk /opt/java/*)
  [[ -n $home ]] || home=$(newest_jdk ~/.sdkman/candidates/java/*)
  [[ -n $home ]] || home=$(newest_jdk ~/.jdks/*)
  [[ -n $home ]] || home=$(newest_jdk /Library/Java/JavaVirtualMachines/*/Contents/Home)
  [[ -n $home ]] || home=$(newest_jdk {/opt/homebrew,/usr/local,/home/linuxbrew/.linuxbrew}/opt/openjdk*/{libexec,libexec/openjdk.jdk/Contents/Home})
  [[ -n $home ]] || die 'no JDK 25 or newer in JAVA_HOME, on the PATH or in the usual folders (/usr/lib/jvm, /opt, ~/.sdkman, ~/.jdks …):' \
    'install one, for instance from https://adoptium.net, and set JAVA_HOME to its folder'
  export JAVA_HOME=$home
}

# need_package COMMAND_OR_FILE PACKAGE: installs the Debian package if the command or file is missing.
need_package() {
  if command -v "$1" >/dev/null || [[ -e $1 ]]; then
    return
  fi
  if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    die "$1 is missing: install the package $2 (Debian, Ubuntu: sudo apt-get install $2)"
  fi
  local log=$root/target/apt-get.log install=(apt-get install --yes --no-install-recommends "$2")
  mkdir -p "$root/target"
  say "$1 is missing: installing the package $2 with apt-get (log: $log)"
  export DEBIAN_FRONTEND=noninteractive
  "${install[@]}" >"$log" 2>&1 </dev/null ||
    { apt-get update && "${install[@]}"; } >>"$log" 2>&1 </dev/null ||
    { tail -n 5 "$log" >&2 && die "cannot install $2: see $log"; }
}

# maven ARGUMENT...: runs Maven on the project with the JDK found; need_package mvn maven comes first.
maven() (
  cd -- "$root" || exit
  # Maven's own libraries would otherwise make JDK 25 print four lines of warnings.
  export MAVEN_OPTS="--sun-misc-unsafe-memory-access=allow --enable-native-access=ALL-UNNAMED ${MAVEN_OPTS:-}"
  exec mvn --batch-mode --no-transfer-progress "$@"
)

# make_aot_cache CACHE JAVA...: classes as the JVM has them after commands that read a store and a snapshot, so that the next one
# starts in a third of the time. JAVA... starts a JVM that has the command line on its class path. Only the JDK that made the cache
# takes it; without it everything is only slower.
make_aot_cache() {
  local cache=$1 work=$1.work java=("${@:2}") header='{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  '
  rm -rf -- "$work" "$cache"
  mkdir -p -- "$work"
  printf '%b%s%b' '\x38\0\0\0\0\0\0\0' "$header" '\0\0\0\0' >"$work/model.safetensors"
  "${java[@]}" dev.lionstore.cli.Main import "$work/model.safetensors" "$work/store" &&
    "${java[@]}" dev.lionstore.cli.Main snapshot "$work/store" "$work/snapshots" &&
    "${java[@]}" "-XX:AOTCacheOutput=$cache" dev.lionstore.cli.FirstStart "$work/store" "$work/snapshots" &&
    # A JVM that cannot write it ends with 0.
    [[ -s $cache ]] ||
    {
      local status=$?
      rm -rf -- "$cache" "$cache.config" "$work"
      return "$status"
    }
  rm -rf -- "$work"
}
