#!/bin/sh
# Debian's unmodified rocminfo lists the emulated card.
command -v rocminfo >/dev/null || { echo "rocminfo is not installed"; exit 77; }
output=$(rocminfo) || { echo "rocminfo failed: $output"; exit 1; }
for expected in 'gfx1030' 'AMD Radeon RX 6800 XT' 'amdgcn-amd-amdhsa--gfx1030' 'Compute Unit: *72' \
  'Chip ID: *29631' 'BDFID: *768' 'Wavefront Size: *32' '\*\*\* Done \*\*\*'; do
  echo "$output" | grep -q "$expected" || { echo "missing in rocminfo's output: $expected"; exit 1; }
done
