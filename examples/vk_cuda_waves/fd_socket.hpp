// Sends and receives a SharedObjects over a Unix socket, its descriptors as SCM_RIGHTS.
#pragma once

#include "shared_objects.hpp"

namespace waves {

// The caller keeps its descriptors.
void send_objects(int socket, const SharedObjects& objects);

// The caller owns the descriptors received.
SharedObjects receive_objects(int socket);

} // namespace waves
