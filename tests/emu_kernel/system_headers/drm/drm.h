// Debian keeps DRM's headers in libdrm-dev, where <linux/kfd_ioctl.h> does not look; its types are all that
// it needs.
#pragma once

#include <linux/ioctl.h>
#include <linux/types.h>
