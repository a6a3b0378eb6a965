// What the ROCr clients run. Arguments are explicit ones only: no hidden ones are read.

__attribute__((visibility("default"))) global uint counter = 5;
constant uint table[4] = {11, 22, 33, 44};

kernel void add_index(global uint* data, uint n) {
  uint i = __builtin_amdgcn_workgroup_id_x() * 64 + __builtin_amdgcn_workitem_id_x();
  if (i < n)
    data[i] += i;
}

// Marks every work-item of a three-dimensional grid, partial workgroups too.
kernel void mark_ids(global uint* data, uint width, uint height) {
  uint x = __builtin_amdgcn_workgroup_id_x() * 8 + __builtin_amdgcn_workitem_id_x();
  uint y = __builtin_amdgcn_workgroup_id_y() * 4 + __builtin_amdgcn_workitem_id_y();
  uint z = __builtin_amdgcn_workgroup_id_z() * 2 + __builtin_amdgcn_workitem_id_z();
  data[(z * height + y) * width + x] += 1 + x + 256 * y + 65536 * z;
}

kernel void use_variables(global uint* out) {
  out[0] = counter;
  out[1] = table[out[2] & 3];
  counter += 100;
}

kernel void reverse_in_lds(global uint* data) {
  local uint copy[256];
  uint i = __builtin_amdgcn_workitem_id_x();
  copy[i] = data[i];
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
  data[i] = copy[255 - i];
}

// Needs scratch memory: an array that is indexed by what memory says.
kernel void sort_privately(global uint* data) {
  uint values[64];
  uint at = (__builtin_amdgcn_workgroup_id_x() * 64 + __builtin_amdgcn_workitem_id_x()) * 64;
  for (uint i = 0; i < 64; ++i)
    values[data[at + i] & 63] = i;
  for (uint i = 0; i < 64; ++i)
    data[at + i] = values[i];
}

// Runs until the host stores something.
kernel void wait_for_host(global uint* flag, global uint* out) {
  while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == 0)
    __builtin_amdgcn_s_sleep(1);
  *out = 77;
}

kernel void store_at(global uint* where, uint value) {
  *where = value;
}

kernel void load_from(global uint* where, global uint* out) {
  *out = *where;
}

kernel void trap(global uint* out) {
  *out = 1;
  __builtin_trap();
}

kernel void debug_trap(global uint* out) {
  *out = 1;
  __builtin_debugtrap();
  *out = 2;
}

kernel void illegal_instruction(global uint* out) {
  *out = 1;
  __asm__ volatile(".long 0xbfff0000"); // SOPP has no such operation
}
