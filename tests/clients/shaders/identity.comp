#version 450
// Who is where: one record for each invocation, at its place in the grid.
layout(local_size_x = 4, local_size_y = 3, local_size_z = 2) in;
layout(std430, binding = 0) buffer Output { uvec4 records[]; };
layout(push_constant) uniform Push { uvec3 extent; }; // of the grid, in invocations

void main() {
  uvec3 at = gl_GlobalInvocationID;
  uint place = (at.z * extent.y + at.y) * extent.x + at.x;
  uvec3 group = gl_WorkGroupID, groups = gl_NumWorkGroups;
  records[place] = uvec4(group.x | group.y << 8 | group.z << 16, gl_LocalInvocationIndex,
                         groups.x | groups.y << 8 | groups.z << 16, records[place].w + 1);
}
