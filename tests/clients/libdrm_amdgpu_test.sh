#!/bin/sh
# libdrm's own amdgpu_test, which Debian does not package: built from the source of the libdrm that is installed, against
# that library, and run on the emulated card. Usage: libdrm_amdgpu_test.sh CACHE
cache=$1
preload=$LD_PRELOAD
unset LD_PRELOAD # the tools that fetch and build are not on the emulated machine

skip() {
  echo "$*"
  exit 77
}

# Debian's source package into $cache, through apt, with lists of our own: the system's configuration stays as it is.
fetch() {
  version=$(dpkg-query -W -f='${source:Version}' libdrm-dev 2>/dev/null) || skip "libdrm-dev is not installed"
  repository=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Origin: Debian' \
    'Component: main' 2>/dev/null | grep -v -e security -e backports | head -n 1)
  [ -n "$repository" ] || skip "no Debian archive is configured"
  mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial"
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $repository main" >"$cache/apt/sources.list"
  set -- -q -o "Dir::Etc::sourcelist=$cache/apt/sources.list" -o Dir::Etc::sourceparts=- \
    -o "Dir::State::lists=$cache/apt/lists" -o "Dir::Cache=$cache/apt/cache" -o APT::Sandbox::User= \
    -o Acquire::Retries=1 -o Acquire::http::Timeout=20
  { apt-get "$@" update && (cd "$cache" && apt-get "$@" source --download-only "libdrm=$version"); } \
    >"$cache/fetch.log" 2>&1 || skip "libdrm's source cannot be had: $(tail -n 1 "$cache/fetch.log")"
  rm -rf "$cache/apt"
  mkdir -p "$cache/source"
  tar -xf "$cache"/libdrm_*.orig.tar.?z -C "$cache/source" --strip-components=1 || skip "libdrm's source does not unpack"
}

build() {
  printf '#include <CUnit/CUnit.h>\n' | cc -E - >/dev/null 2>&1 || skip "CUnit is not installed (package libcunit1-dev)"
  [ -f "$cache/source/tests/amdgpu/amdgpu_test.c" ] || fetch
  source=$cache/source
  objects=
  # What libdrm's meson.build defines for this; its tests are not free of warnings.
  for file in "$source"/tests/amdgpu/*.c; do
    case $file in */amdgpu_stress.c) continue ;; esac
    object=$cache/$(basename "$file" .c).o
    objects="$objects $object"
    cc -c -O1 -w -D_GNU_SOURCE -DHAVE_CUNIT=1 -DHAVE_LIBDRM_ATOMIC_PRIMITIVES=1 -DMAJOR_IN_SYSMACROS=1 -I"$source" \
      -I"$source/include/drm" -I"$source/amdgpu" "$file" -o "$object" || exit 1
  done
  cc $objects -o "$cache/amdgpu_test.new" -ldrm_amdgpu -ldrm -lcunit -lpthread || exit 1
  mv "$cache/amdgpu_test.new" "$cache/amdgpu_test"
}

mkdir -p "$cache"
[ -x "$cache/amdgpu_test" ] || build

# The suites that need no drawing, no video engine, no card that is unplugged, and of the deadlock suite what needs no
# reset. The program itself leaves out what it does not run on this card.
# The basic suite submits to the constant engine, which Linux 7.2 lets only who asks for it.
export CUDA_SHIM_EMU_DEBUG_MASK=0x400
status=0
run() { # SUITE [TEST]: every test that runs must pass
  output=$(LD_PRELOAD=$preload timeout 60 "$cache/amdgpu_test" -s "$1" ${2:+-t "$2"} $3 2>"$cache/errors.log")
  echo "$output" | grep -E '^Suite:|^  Test:'
  if ! echo "$output" | grep -qE 'passed$' || echo "$output" | grep -qE 'FAILED|nitialization failed'; then
    echo "$output"
    cat "$cache/errors.log"
    status=1
  fi
}
run 1     # Basic
run 2     # BO
run 2 "" -r # the same upon the render node
run 8 1   # Deadlock: graphics ring that waits
run 8 4   # Deadlock: illegal register
run 8 5   # Deadlock: illegal memory
run 9     # VM
run 11    # timeline syncobjs
run 14    # CP DMA
exit $status
