#!/bin/sh
# Debian's unmodified drmdevice and amdgpu_stress (package libdrm-tests) upon the emulated card.
# They leave what they hold to the kernel.
export LSAN_OPTIONS=detect_leaks=0

for tool in drmdevice amdgpu_stress; do
  command -v $tool >/dev/null || { echo "$tool is not installed (package libdrm-tests)"; exit 77; }
done

expect() { # OUTPUT PATTERN...
  output=$1
  shift
  for pattern in "$@"; do
    echo "$output" | grep -q -- "$pattern" || { echo "missing: $pattern"; echo "$output"; exit 1; }
  done
}

output=$(drmdevice 2>&1) || { echo "drmdevice failed: $output"; exit 1; }
expect "$output" 'Devices reported 1 ' '/dev/dri/card0' '/dev/dri/renderD128' 'vendor_id     1002' 'device_id     73bf' \
  'bus    03' 'Opening device node /dev/dri/card0' 'Opening device node /dev/dri/renderD128'

# Buffers in both memories and in either, copies in all directions, of one page and of more than one IB's worth.
output=$(amdgpu_stress -b v 4m -b g 4m -b vg 64k -c 1 2 4m 20 -c 2 1 1m 20 -c 1 1 4k 5 -c 2 3 64k 5 2>&1) ||
  { echo "amdgpu_stress failed: $output"; exit 1; }
expect "$output" 'BO number 1 at .*, domain 0x4, size 4194304' 'BO number 2 at .*, domain 0x2, size 4194304' \
  'BO number 3 at .*, domain 0x6, size 65536' 'Submitted 20 IBs to copy from 1.* to 2.* 4194304 bytes' \
  'Submitted 20 IBs to copy from 2.* to 1.* 1048576 bytes' 'Submitted 5 IBs to copy from 1.* to 1.* 4096 bytes' \
  'Submitted 5 IBs to copy from 2.* to 3.* 65536 bytes'
echo "$output" | grep -q kfd-emu && { echo "$output"; exit 1; }

# What it cannot have, it is told of.
output=$(amdgpu_stress -b v 2000g 2>&1) && { echo "2000 GiB of VRAM: $output"; exit 1; }
expect "$output" 'Buffer allocation failed with -12'
exit 0
