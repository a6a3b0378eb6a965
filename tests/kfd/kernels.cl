// What the tests dispatch. Explicit arguments only, no device library.

// The one-dimensional global index; the group's size stands in the dispatch packet.
static uint item(void) {
  const constant ushort* packet = (const constant ushort*)__builtin_amdgcn_dispatch_ptr();
  return __builtin_amdgcn_workgroup_id_x() * packet[2] + __builtin_amdgcn_workitem_id_x();
}

kernel void fill(global uint* out, uint value) { out[item()] = value + item(); }

kernel void copy(global const uint* in, global uint* out) { out[item()] = in[item()]; }

// Spins until the host writes.
kernel void wait_for_host(global volatile uint* flag) {
  while (__opencl_atomic_load((global volatile atomic_uint*)flag, memory_order_relaxed, memory_scope_all_svm_devices) == 0)
    ;
}

// Needs scratch: the array is indexed by what only the host knows.
kernel void permute(global const uint* order, global uint* out, uint count) {
  uint local_array[64];
  for (uint i = 0; i < count; ++i)
    local_array[order[i]] = i + item();
  for (uint i = 0; i < count; ++i)
    out[item() * count + i] = local_array[i];
}
