/* Means over squares, in whole numbers. */
#include "kernels.h"

/* Where an image of `length` pixels that is mirrored at its border, whose pixels are not repeated, shows pixel `at`. */
static int64_t mirrored(int64_t at, int64_t length) {
    if (length == 1) return 0;
    while (at < 0 || at >= length) at = at < 0 ? -at : 2 * (length - 1) - at;
    return at;
}

/* Add `sign` times a row of the plane, and of the other one if there is one, to the sums of the columns. */
static inline void add_row(int64_t columns, const uint8_t *row, const uint8_t *other, int sign, uint16_t *sums) {
    if (other)
        for (int64_t x = 0; x < columns; x++) sums[x] = (uint16_t)(sums[x] + sign * (row[x] + other[x]));
    else
        for (int64_t x = 0; x < columns; x++) sums[x] = (uint16_t)(sums[x] + sign * row[x]);
}

/* Sum of the plane, and of the other one, which may have no pixels, over squares of 2 * radius + 1, times
   factor / 2^22, rounded down. Sums must stay below 2^16 a column and 2^31 with the factor. */
EXPORT int64_t ihc_local_mean(int64_t rows, int64_t columns, const uint8_t *plane, int64_t others, const uint8_t *other,
                              int64_t radius, int32_t factor, uint8_t *out) {
    uint16_t *sums = calloc((size_t)(columns + 2 * radius + 1), sizeof *sums);
    if (!sums) return NO_MEMORY;
    uint16_t *within = sums + radius + 1; /* of the image's own columns; before and after them those it mirrors */
    for (int64_t y = -2 * radius; y < rows; y++) {
        int64_t in = mirrored(y + radius, rows) * columns, gone = mirrored(y - radius - 1, rows) * columns;
        add_row(columns, plane + in, others ? other + in : NULL, 1, within);
        if (y > 0) add_row(columns, plane + gone, others ? other + gone : NULL, -1, within);
        if (y < 0) continue;
        for (int64_t k = 1; k <= radius; k++) {
            within[-k] = within[mirrored(-k, columns)];
            within[columns - 1 + k] = within[mirrored(columns - 1 + k, columns)];
        }
        int32_t total = 0;
        for (int64_t k = -radius; k < radius; k++) total += within[k];
        sums[0] = 0; /* nothing has left the first square */
        uint8_t *mean = out + y * columns;
        for (int64_t x = 0; x < columns; x++) {
            total += within[x + radius] - within[x - radius - 1];
            mean[x] = (uint8_t)((total * factor) >> 22);
        }
    }
    free(sums);
    return 0;
}
