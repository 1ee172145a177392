/* What the library was compiled from; see sources.py. */
#include "kernels.h"

EXPORT const char *ihc_sources(void) {
    return SOURCES;
}
