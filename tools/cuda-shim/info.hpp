#pragma once

namespace tool {

// Prints the devices that libcuda.so.1 shows and their properties, as a table. The exit status.
int print_devices();

} // namespace tool
