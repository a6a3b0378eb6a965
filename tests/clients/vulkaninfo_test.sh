#!/bin/sh
# vulkaninfo_test.sh VERSION: Debian's unmodified vulkaninfo lists the emulated card, by RADV of that version.
command -v vulkaninfo >/dev/null || { echo "vulkaninfo is not installed"; exit 77; }
output=$(vulkaninfo 2>/dev/null) || { echo "vulkaninfo failed"; exit 1; }
for expected in 'deviceName *= AMD Radeon RX 6800 XT' 'vendorID *= 0x1002' 'deviceID *= 0x73bf' \
  'deviceUUID *= 00000000-0300-0000-0000-000000000000' 'driverID *= DRIVER_ID_MESA_RADV' "driverInfo *= Mesa $1" \
  'QUEUE_GRAPHICS' 'minSubgroupSize *= 32' 'maxSubgroupSize *= 64' 'timestampPeriod *= 10' \
  'maxComputeSharedMemorySize *= 65536' 'pciBus *= 3' 'renderMinor *= 128' 'VK_KHR_external_memory_fd' \
  'VK_KHR_external_semaphore_fd' 'VK_KHR_timeline_semaphore'; do
  echo "$output" | grep -q "$expected" || { echo "missing in vulkaninfo's output: $expected"; exit 1; }
done
# Device-local and host-visible memory: nearly all of 16 GiB, and more than a small window of it visible.
heaps=$(echo "$output" | sed -n '/^VkPhysicalDeviceMemoryProperties/,/^VkPhysicalDeviceFeatures/p')
echo "$heaps" | grep -q 'size *= 171[0-9]\{8\} ' || { echo "no heap of 16 GiB: $heaps"; exit 1; }
