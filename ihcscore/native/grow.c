/* Nuclei to cells. */
#include "kernels.h"

/* Lengths of steps to the 5 x 5 pixels around, in 1/65536 px (Borgefors 1986). */
enum { STRAIGHT = 65536, DIAGONAL = 91750, LONG = 143976, FAR = 1 << 29, MARGIN = 2 };
enum { TILE_ROWS = 256, TILE_COLUMNS = 512 };

static inline int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Take the nearest of what the rows before (one and two rows away, in the direction of the pass) know of each pixel. */
static inline void from_rows(int64_t columns, int way, const int32_t *restrict one, const int32_t *restrict two,
                             const int32_t *restrict label_one, const int32_t *restrict label_two,
                             int32_t *restrict distance, int32_t *restrict label) {
    for (int64_t x = 0; x < columns; x++) {
        int32_t nearest = distance[x], of = label[x], there, its;
#define TRY(distances, labels, at, step)                                                                               \
    there = distances[x + (at)] + (step);                                                                              \
    its = labels[x + (at)];                                                                                            \
    of = there < nearest ? its : of;                                                                                   \
    nearest = there < nearest ? there : nearest;
        TRY(two, label_two, -way, LONG)
        TRY(two, label_two, way, LONG)
        TRY(one, label_one, -2 * way, LONG)
        TRY(one, label_one, -way, DIAGONAL)
        TRY(one, label_one, 0, STRAIGHT)
        TRY(one, label_one, way, DIAGONAL)
        TRY(one, label_one, 2 * way, LONG)
#undef TRY
        distance[x] = nearest;
        label[x] = of;
    }
}

/* Take the one before in the row, if it is nearer. */
static inline void from_row(int64_t columns, int64_t step, int32_t *distance, int32_t *label) {
    int64_t x = step > 0 ? 0 : columns - 1;
    int32_t there = FAR, of = 0;
    for (int64_t k = 0; k < columns; k++, x += step) {
        there += STRAIGHT;
        int nearer = there < distance[x];
        distance[x] = there = nearer ? there : distance[x];
        label[x] = of = nearer ? of : label[x];
    }
}

typedef struct {
    int64_t top, left, bottom, right;
} Box;

/* Label the pixels of `core`, from those of `seen` around it; distances, labels: for `seen` and a margin. */
static void grow_tile(const int32_t *nuclei, int64_t width, Box seen, Box core, int32_t reach, int32_t *distances,
                      int32_t *labels, int32_t *cells) {
    int64_t rows = seen.bottom - seen.top, columns = seen.right - seen.left, stride = columns + 2 * MARGIN;
    for (int64_t k = 0; k < (rows + 2 * MARGIN) * stride; k++) distances[k] = FAR, labels[k] = 0;
    for (int64_t y = 0; y < rows; y++) {
        const int32_t *own = nuclei + (seen.top + y) * width + seen.left;
        int32_t *distance = distances + (y + MARGIN) * stride + MARGIN, *label = labels + (distance - distances);
        for (int64_t x = 0; x < columns; x++) {
            label[x] = own[x] > 0 ? own[x] : 0;
            distance[x] = own[x] > 0 ? 0 : FAR;
        }
        from_rows(columns, 1, distance - stride, distance - 2 * stride, label - stride, label - 2 * stride, distance,
                  label);
        from_row(columns, 1, distance, label);
    }
    for (int64_t y = rows - 1; y >= core.top - seen.top; y--) {
        int32_t *distance = distances + (y + MARGIN) * stride + MARGIN, *label = labels + (distance - distances);
        from_rows(columns, -1, distance + stride, distance + 2 * stride, label + stride, label + 2 * stride, distance,
                  label);
        from_row(columns, -1, distance, label);
        if (seen.top + y >= core.bottom) continue;
        int32_t *out = cells + (seen.top + y) * width;
        for (int64_t x = core.left; x < core.right; x++)
            out[x] = distance[x - seen.left] <= reach ? label[x - seen.left] : 0;
    }
}

/* Give each pixel the label of the nucleus pixel nearest to it, if that is no farther than `reach`, in 1/65536 px.
   Distances are those of a 5 x 5 chamfer; among equals the one that comes first counts, wherever the image begins.
   Tiles stay in the processor's cache; nothing farther than `reach` matters to them. */
EXPORT int64_t ihc_grow(int64_t rows, int64_t columns, const int32_t *nuclei, int32_t reach, int32_t *cells) {
    int64_t around = reach / STRAIGHT + 1;
    int64_t high = TILE_ROWS + 2 * around, wide = TILE_COLUMNS + 2 * around;
    int64_t room = ((high < rows ? high : rows) + 2 * MARGIN) * ((wide < columns ? wide : columns) + 2 * MARGIN);
    int32_t *distances = malloc((size_t)room * 2 * sizeof *distances);
    if (!distances) return NO_MEMORY;
    for (int64_t top = 0; top < rows; top += TILE_ROWS)
        for (int64_t left = 0; left < columns; left += TILE_COLUMNS) {
            Box core = {top, left, least(rows, top + TILE_ROWS), least(columns, left + TILE_COLUMNS)};
            Box seen = {top > around ? top - around : 0, left > around ? left - around : 0,
                        least(rows, core.bottom + around), least(columns, core.right + around)};
            grow_tile(nuclei, columns, seen, core, reach, distances, distances + room, cells);
        }
    free(distances);
    return 0;
}
