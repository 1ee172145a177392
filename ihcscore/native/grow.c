/* Nuclei to cells. */
#include "kernels.h"

/* Lengths of steps to the 5 x 5 pixels around, in 1/65536 px (Borgefors 1986). */
enum { STRAIGHT = 65536, DIAGONAL = 91750, LONG = 143976, FAR = 1 << 29, MARGIN = 2 };

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

/* Give each pixel the label of the nucleus pixel nearest to it, if that is no farther than `reach`, in 1/65536 px.
   Distances are those of a 5 x 5 chamfer; among equals the one that comes first counts, wherever the image begins.
   distances, labels: (rows + 4, columns + 4), overwritten. */
EXPORT int64_t ihc_grow(int64_t rows, int64_t columns, const int32_t *nuclei, int32_t reach, int32_t *distances,
                        int32_t *labels, int32_t *cells) {
    int64_t stride = columns + 2 * MARGIN;
    for (int64_t y = 0; y < rows + 2 * MARGIN; y++)
        for (int64_t x = 0; x < stride; x++) {
            if (x == MARGIN && y >= MARGIN && y < rows + MARGIN) x += columns;
            distances[y * stride + x] = FAR;
            labels[y * stride + x] = 0;
        }
    for (int64_t y = 0; y < rows; y++) {
        int64_t at = (y + MARGIN) * stride + MARGIN;
        int32_t *distance = distances + at, *label = labels + at;
        for (int64_t x = 0; x < columns; x++) {
            int32_t own = nuclei[y * columns + x];
            label[x] = own > 0 ? own : 0;
            distance[x] = own > 0 ? 0 : FAR;
        }
        from_rows(columns, 1, distance - stride, distance - 2 * stride, label - stride, label - 2 * stride, distance,
                  label);
        from_row(columns, 1, distance, label);
    }
    for (int64_t y = rows - 1; y >= 0; y--) {
        int64_t at = (y + MARGIN) * stride + MARGIN;
        int32_t *distance = distances + at, *label = labels + at;
        from_rows(columns, -1, distance + stride, distance + 2 * stride, label + stride, label + 2 * stride, distance,
                  label);
        from_row(columns, -1, distance, label);
        for (int64_t x = 0; x < columns; x++) cells[y * columns + x] = distance[x] <= reach ? label[x] : 0;
    }
    return 0;
}
