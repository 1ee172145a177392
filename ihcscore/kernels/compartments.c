/* Cells to compartments. */
#include "kernels.h"

enum { NUCLEUS, CYTOPLASM, MEMBRANE, EDGE };

/* What ihc_partition has to know of a pixel: near the border of a cell; of a nucleus, as far as counts inside and as far
   as counts outside of it. */
enum { MARGIN = 1, WITHIN = 2, AROUND = 4 };

/* For a row of labels, tell which pixels are like the next one and which like the one below; `below` is NULL in the last
   row. What lies outside of the image is like all. alike: with `reach` pixels more on either side. */
static void compare_row(int64_t columns, int64_t reach, const int32_t *here, const int32_t *below, uint8_t *alike,
                        uint8_t *like_below) {
    memset(alike, 1, (size_t)(columns + 2 * reach));
    for (int64_t x = 0; x < columns - 1; x++) alike[reach + x] = here[x] == here[x + 1];
    if (!below) return;
    for (int64_t x = 0; x < columns; x++) like_below[x] = here[x] == below[x];
}

/* Set `bits` of the pixels that have another label around them: in the rows from `reach` above to `reach` below, as many
   pixels to the left and right as `sides` says, which are no more farther away. What lies outside of the image is no
   other label. Labels are compared once with the next and the one below; all else is done with bytes. */
EXPORT int64_t ihc_near_border(int64_t rows, int64_t columns, const int32_t *labels, int64_t reach,
                               const int64_t *sides, int32_t bits, uint8_t *out) {
    int64_t stride = columns + 2 * reach, height = 2 * reach + 1;
    uint8_t *alike = malloc((size_t)((2 * height + 1) * stride));
    if (!alike) return NO_MEMORY;
    uint8_t *below = alike + height * stride, *same = below + height * stride; /* of as many rows as are looked at */
    for (int64_t y = -reach; y < rows; y++) {
        int64_t next = y + reach;
        const int32_t *here = labels + next * columns;
        if (next < rows)
            compare_row(columns, reach, here, next + 1 < rows ? here + columns : NULL, alike + next % height * stride,
                        below + next % height * stride);
        if (y < 0) continue;
        memset(same, 1, (size_t)columns);
        for (int64_t down = -reach; down <= reach; down++) {
            int64_t at = y + down, between = down > 0 ? at - 1 : at;
            if (at < 0 || at >= rows) continue;
            const uint8_t *row = alike + at % height * stride + reach, *chain = below + between % height * stride;
            for (int64_t k = -sides[down + reach]; k < sides[down + reach]; k++)
                for (int64_t x = 0; x < columns; x++) same[x] &= row[x + k];
            if (down)
                for (int64_t x = 0; x < columns; x++) same[x] &= chain[x];
        }
        for (int64_t x = 0; x < columns; x++) out[y * columns + x] |= same[x] ? 0 : (uint8_t)bits;
    }
    free(alike);
    return 0;
}

static uint8_t part_of(int in_nucleus, int in_cell, int near, int has_inner) {
    if (in_nucleus) return near & WITHIN && has_inner ? EDGE : NUCLEUS;
    if (in_cell && near & MARGIN) return MEMBRANE;
    return in_cell && near & AROUND && has_inner ? EDGE : CYTOPLASM;
}

/* Where `has` tells of a pixel whether its nucleus, or the cytoplasm of its cell, is more than edge. */
static inline int64_t own_place(int32_t nucleus, int32_t cell) {
    int64_t of = nucleus > 0 ? nucleus : cell > 0 ? cell : 0;
    return 2 * of + ((nucleus <= 0) & (cell > 0));
}

/* Tell the parts of cells apart. Where a nucleus or a cytoplasm would be all edge, it has none.
   has: (count, 2), zeros; part: the bits above, overwritten. */
EXPORT int64_t ihc_partition(int64_t n, const int32_t *nuclei, const int32_t *cells, uint8_t *has, uint8_t *part) {
    uint8_t parts[64]; /* instead of branches, which no processor foresees along outlines */
    for (int k = 0; k < 64; k++) parts[k] = part_of(k & 1, k >> 1 & 1, k >> 2 & 7, k >> 5);
    for (int64_t i = 0; i < n; i++) {
        int64_t of = own_place(nuclei[i], cells[i]);
        has[part[i] & (nuclei[i] > 0 ? WITHIN : MARGIN | AROUND) ? 0 : of] = 1; /* the first is nobody's */
    }
    for (int64_t i = 0; i < n; i++) {
        int inner = has[own_place(nuclei[i], cells[i])];
        part[i] = parts[(nuclei[i] > 0) | (cells[i] > 0) << 1 | (part[i] & 7) << 2 | inner << 5];
    }
    return 0;
}
