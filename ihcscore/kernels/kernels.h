/* What the kernels share. Arrays are C-contiguous and of the shapes that the Python callers check. Every sum has a
   fixed order and no product is fused with a sum, so that every processor gives the same bytes. */
#ifndef IHCSCORE_KERNELS_H
#define IHCSCORE_KERNELS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* The rays out of a nucleus, as in ihcscore.cells.membrane.profiles: their number, the samples of each, how many of these lie
   in the nucleus, and the planes that are read along them. */
enum { RAYS = 32, SAMPLES = 24, BEFORE = 2, PLANES = 2 };

/* What a kernel that needs memory returns when there is none. */
#define NO_MEMORY (-1)

#endif
