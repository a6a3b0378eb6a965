/* For runs under LeakSanitizer: libraries stay loaded, so that a leak's report names its library and
 * lsan.supp can. */
#include <dlfcn.h>

__attribute__((visibility("default"))) int dlclose(void* library) {
  (void)library;
  return 0;
}
