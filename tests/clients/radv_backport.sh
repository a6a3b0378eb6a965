#!/bin/sh
# radv_backport.sh FOLDER PROGRAM ARGUMENTS: runs a Vulkan program with the RADV of bookworm-backports.
#
# The driver and the libdrm that it needs are fetched once into FOLDER, from where this machine has its packages, with
# lists and caches of their own: the system's packages and its apt stay as they are. Exits with 77 where that cannot be.
folder=$1
shift
preload=$LD_PRELOAD
unset LD_PRELOAD
libraries=$folder/root/usr/lib/x86_64-linux-gnu
manifest=$folder/radeon_icd.json

skip() {
  echo "$1"
  exit 77
}

fetch() {
  command -v apt-get >/dev/null || skip "no apt-get"
  rm -rf "$folder/root" "$folder/packages" "$folder/sources"
  mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/packages" || exit 1
  python3 "$(dirname "$0")/backports_sources.py" bookworm /etc/apt "$folder/sources" ||
    skip "no source of Debian bookworm's packages is configured"
  set -- -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$folder/sources" \
    -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache" -o Acquire::Retries=0 \
    -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 -o APT::Sandbox::User=
  # Not every source of the release has backports: what counts is whether the packages can be had.
  apt-get "$@" update >"$folder/log" 2>&1
  (cd "$folder/packages" && apt-get "$@" download mesa-vulkan-drivers/bookworm-backports \
    libdrm2/bookworm-backports libdrm-amdgpu1/bookworm-backports) >>"$folder/log" 2>&1 || return 1
  for package in "$folder"/packages/*.deb; do
    dpkg-deb -x "$package" "$folder/root" || return 1
  done
  sed "s|\"library_path\": *\"[^\"]*\"|\"library_path\": \"$libraries/libvulkan_radeon.so\"|" \
    "$folder/root/usr/share/vulkan/icd.d/radeon_icd.json" >"$manifest.new" || return 1
  mv "$manifest.new" "$manifest"
}

mkdir -p "$folder" || exit 1
(
  flock 9
  [ -f "$manifest" ] && exit 0
  # One failure stands for all tests of a run.
  [ -n "$(find "$folder/failed" -mmin -10 2>/dev/null)" ] && exit 77
  fetch || {
    touch "$folder/failed"
    exit 77
  }
) 9>"$folder/lock"
status=$?
[ $status = 77 ] && skip "bookworm-backports cannot be reached: $(tail -1 "$folder/log" 2>/dev/null)"
[ $status = 0 ] || exit $status
missing=$(LD_LIBRARY_PATH=$libraries ldd "$libraries/libvulkan_radeon.so" | grep 'not found')
[ -z "$missing" ] || skip "RADV of bookworm-backports needs: $missing"

export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export VK_DRIVER_FILES="$manifest" VK_ICD_FILENAMES="$manifest"
export RADV_PERFTEST=transfer_queue # SDMA as a queue family
export LD_PRELOAD="$preload"
exec "$@"
