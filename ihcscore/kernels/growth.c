/* Nuclei to cells. */
#include "kernels.h"

/* What is known of a pixel is one number, so that the least of several is that of the nearest nucleus: how far it is, in
   1/256 px, and how many rows and columns on its nearest pixel lies, 128 more of each: a byte, so no farther than 127.
   Among equals the one that lies highest counts, then the leftmost. */
#define KNOWN(distance, down, right) (((distance) * 256 + (down)) * 256 + (right))

/* Lengths of steps to the 5 x 5 pixels around (Borgefors 1986); what is farther than anything that counts. */
enum { STRAIGHT = 256, DIAGONAL = 358, LONG = 562, FAR = 30000 };
enum { NOTHING = KNOWN(FAR, 128, 128), ITSELF = KNOWN(0, 128, 128), MARGIN = 2 };
enum { TILE_ROWS = 256, TILE_COLUMNS = 512 };

static inline int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Take the nearest of what the rows `way` and twice `way` on know of each pixel. */
static inline void from_rows(int64_t columns, int32_t way, const int32_t *restrict one, const int32_t *restrict two,
                             int32_t *restrict known) {
    for (int64_t x = 0; x < columns; x++) {
        int32_t nearest = known[x], there;
#define TRY(row, length, down, right)                                                                                  \
    there = (row)[x + (right)] + KNOWN(length, down, right);                                                           \
    nearest = there < nearest ? there : nearest;
        TRY(two, LONG, 2 * way, -1)
        TRY(two, LONG, 2 * way, 1)
        TRY(one, LONG, way, -2)
        TRY(one, DIAGONAL, way, -1)
        TRY(one, STRAIGHT, way, 0)
        TRY(one, DIAGONAL, way, 1)
        TRY(one, LONG, way, 2)
#undef TRY
        known[x] = nearest;
    }
}

/* Take what the pixel before knows, going along the row from `known` on by `step`, if that is nearer. */
static inline void from_row(int64_t columns, int32_t step, int32_t *known) {
    int32_t there = NOTHING;
    for (int64_t k = 0; k < columns; k++, known += step) {
        there += KNOWN(STRAIGHT, 0, -step);
        *known = there = there < *known ? there : *known;
    }
}

typedef struct {
    int64_t top, left, bottom, right;
} Box;

/* Label the pixels of `core`, from those of `seen` around it; known: for `seen` and a margin. */
static void grow_tile(const int32_t *nuclei, int64_t width, Box seen, Box core, int32_t reach, int32_t *known,
                      int32_t *cells) {
    int64_t rows = seen.bottom - seen.top, columns = seen.right - seen.left, stride = columns + 2 * MARGIN;
    for (int64_t k = 0; k < (rows + 2 * MARGIN) * stride; k++) known[k] = NOTHING;
    for (int64_t y = 0; y < rows; y++) {
        const int32_t *own = nuclei + (seen.top + y) * width + seen.left;
        int32_t *row = known + (y + MARGIN) * stride + MARGIN;
        for (int64_t x = 0; x < columns; x++) row[x] = own[x] > 0 ? ITSELF : NOTHING;
        from_rows(columns, -1, row - stride, row - 2 * stride, row);
        from_row(columns, 1, row);
    }
    for (int64_t y = rows - 1; y >= core.top - seen.top; y--) {
        int32_t *row = known + (y + MARGIN) * stride + MARGIN;
        from_rows(columns, 1, row + stride, row + 2 * stride, row);
        from_row(columns, -1, row + columns - 1);
        if (seen.top + y >= core.bottom) continue;
        int64_t at = (seen.top + y) * width;
        for (int64_t x = core.left; x < core.right; x++) {
            int32_t of = row[x - seen.left], down = (of >> 8 & 255) - 128, right = (of & 255) - 128;
            cells[at + x] = of < KNOWN(reach + 1, 0, 0) ? nuclei[at + x + down * width + right] : 0;
        }
    }
}

/* Give each pixel the label of the nucleus pixel nearest to it, if that is no farther than `reach`, in 1/256 px, less
   than FAR and than 127 pixels. Distances are those of a 5 x 5 chamfer. Tiles stay in the processor's cache; nothing farther than `reach`
   matters to them. */
EXPORT int64_t ihc_grow(int64_t rows, int64_t columns, const int32_t *nuclei, int32_t reach, int32_t *cells) {
    int64_t around = reach / STRAIGHT + 1;
    int64_t high = TILE_ROWS + 2 * around, wide = TILE_COLUMNS + 2 * around;
    int64_t room = ((high < rows ? high : rows) + 2 * MARGIN) * ((wide < columns ? wide : columns) + 2 * MARGIN);
    int32_t *known = malloc((size_t)room * sizeof *known);
    if (!known) return NO_MEMORY;
    for (int64_t top = 0; top < rows; top += TILE_ROWS)
        for (int64_t left = 0; left < columns; left += TILE_COLUMNS) {
            Box core = {top, left, least(rows, top + TILE_ROWS), least(columns, left + TILE_COLUMNS)};
            Box seen = {top > around ? top - around : 0, left > around ? left - around : 0,
                        least(rows, core.bottom + around), least(columns, core.right + around)};
            grow_tile(nuclei, columns, seen, core, reach, known, cells);
        }
    free(known);
    return 0;
}
