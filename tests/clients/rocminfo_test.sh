#!/bin/sh
# Debian's unmodified rocminfo lists the emulated card, its memory pools and its instruction set.
command -v rocminfo >/dev/null || { echo "rocminfo is not installed"; exit 77; }
output=$(rocminfo) || { echo "rocminfo failed: $output"; exit 1; }
output=$(echo "$output" | sed "s/ *$//")

expect() { # TEXT PATTERN...: each pattern in the text
  text=$1
  shift
  for pattern in "$@"; do
    echo "$text" | grep -Eq "$pattern" || { echo "missing: $pattern, in: $text"; exit 1; }
  done
}

expect "$output" 'Runtime Version: +1\.1' 'System Endianness: +LITTLE' '\*\*\* Done \*\*\*'
[ "$(echo "$output" | grep -c 'Device Type: *GPU')" = 1 ] || { echo "not one GPU: $output"; exit 1; }

gpu=$(echo "$output" | sed -n '/Name: *gfx1030$/,$p')
expect "$gpu" 'Marketing Name: *AMD Radeon RX 6800 XT' 'Vendor Name: *AMD' 'Profile: *BASE_PROFILE' \
  'Queue Type: *MULTI' 'Queue Max Size: *131072' 'Node: *1$' 'Chip ID: *29631\(0x73bf\)' 'BDFID: *768' \
  'Compute Unit: *72' 'SIMDs per CU: *2' 'Wavefront Size: *32' 'Workgroup Max Size: *1024' \
  'Max Waves Per CU: *32' 'Max Work-item Per CU: *1024' 'Cacheline Size: *64' 'Max fbarriers/Workgrp: *32'

pools=$(echo "$gpu" | sed -n '/Pool Info/,/ISA Info/p')
expect "$pools" 'Segment: *GLOBAL; FLAGS: COARSE GRAINED' 'Size: *16760832\(0xffc000\) KB' \
  'Segment: *GROUP' 'Size: *64\(0x40\) KB'
expect "$output" 'FLAGS: *FINE GRAINED' 'FLAGS: *KERNARG, FINE GRAINED' 'FLAGS: *COARSE GRAINED'

isa=$(echo "$gpu" | sed -n '/ISA Info/,$p')
expect "$isa" 'Name: *amdgcn-amd-amdhsa--gfx1030' 'Machine Models: *HSA_MACHINE_MODEL_LARGE' \
  'Profiles: *HSA_PROFILE_BASE' 'Fast f16: *TRUE' 'Workgroup Max Size: *1024'
