// linux/kfd_ioctl.h asks for <drm/drm.h>; Debian ships that file with libdrm, as <libdrm/drm.h>.
#pragma once
#include <libdrm/drm.h>
