/* What lies along rays out of nuclei. */
#include "kernels.h"

enum { RAYS = 32, SAMPLES = 24, BEFORE = 2, LONGEST = 28, FRACTION = 32, FRACTION_BITS = 5 };
enum { LENGTH = BEFORE + LONGEST + SAMPLES };

typedef struct {
    int64_t rows, columns;
    const float *dab;
    const int32_t *labels;
} Image;

static int64_t clamped(int64_t at, int64_t length) {
    return at < 0 ? 0 : at >= length ? length - 1 : at;
}

/* Read one ray from (x, y) on: how many steps lie in the nucleus, and what lies from BEFORE steps before that on. */
static inline int32_t read_ray(const Image *image, int inside, int32_t own, int32_t x, int32_t y, const int32_t *across,
                               const int32_t *down, float *od, uint8_t *other) {
    int64_t columns = image->columns, rows = image->rows;
    int32_t within = 0;
    for (int k = BEFORE; k < BEFORE + LONGEST; k++) {
        int64_t column = (x + across[k] + FRACTION / 2) >> FRACTION_BITS;
        int64_t row = (y + down[k] + FRACTION / 2) >> FRACTION_BITS;
        if (!inside) column = clamped(column, columns), row = clamped(row, rows);
        within += image->labels[row * columns + column] == own;
    }
    for (int k = 0; k < SAMPLES; k++) {
        int32_t at_x = x + across[within + k], at_y = y + down[within + k];
        int64_t left = at_x >> FRACTION_BITS, right = left + 1, top = at_y >> FRACTION_BITS, bottom = top + 1;
        int64_t column = (at_x + FRACTION / 2) >> FRACTION_BITS, row = (at_y + FRACTION / 2) >> FRACTION_BITS;
        if (!inside) {
            left = clamped(left, columns), right = clamped(right, columns), column = clamped(column, columns);
            top = clamped(top, rows), bottom = clamped(bottom, rows), row = clamped(row, rows);
        }
        int32_t label = image->labels[row * columns + column];
        other[k] = label && label != own;
        float to_right = (float)(at_x & (FRACTION - 1)) / FRACTION, below = (float)(at_y & (FRACTION - 1)) / FRACTION;
        const float *upper = image->dab + top * columns, *lower = image->dab + bottom * columns;
        od[k] = upper[left] * ((1 - below) * (1 - to_right)) + upper[right] * ((1 - below) * to_right) +
                lower[left] * (below * (1 - to_right)) + lower[right] * (below * to_right);
    }
    return within;
}

/* Read density and labels along the rays of n cells, whose own labels are first_label, first_label + 1, ...
   middle: (n, 2) as x, y; steps: (2, RAYS, LENGTH); both in 1/32 px. Beyond the image, it goes on as at its edge.
   A ray leaves its nucleus after as many steps as lie in it; od and other begin BEFORE steps before that. */
EXPORT int64_t ihc_read_profiles(int64_t n, int64_t rows, int64_t columns, const float *dab, const int32_t *labels,
                                 int32_t first_label, const int32_t *middle, const int32_t *steps, float *od,
                                 uint8_t *other, int32_t *edge) {
    const Image image = {rows, columns, dab, labels};
    int64_t reach = 2;
    for (int k = 0; k < 2 * RAYS * LENGTH; k++)
        if (abs(steps[k]) / FRACTION + 2 > reach) reach = abs(steps[k]) / FRACTION + 2;
    for (int64_t cell = 0; cell < n; cell++) {
        int32_t x = middle[2 * cell], y = middle[2 * cell + 1];
        int64_t column = x >> FRACTION_BITS, row = y >> FRACTION_BITS;
        int inside = column >= reach && row >= reach && column + reach < columns && row + reach < rows;
        for (int64_t ray = cell * RAYS, k = 0; k < RAYS; ray++, k++) {
            const int32_t *across = steps + k * LENGTH, *down = across + RAYS * LENGTH;
            int32_t own = first_label + (int32_t)cell;
            float *line = od + ray * SAMPLES;
            uint8_t *others = other + ray * SAMPLES;
            if (inside)
                edge[ray] = read_ray(&image, 1, own, x, y, across, down, line, others);
            else
                edge[ray] = read_ray(&image, 0, own, x, y, across, down, line, others);
        }
    }
    return 0;
}

/* What the network sees of profiles: (n, 2, SAMPLES, RAYS), density where no other nucleus lies, and where one does. */
EXPORT int64_t ihc_seen_profiles(int64_t n, const float *od, const uint8_t *other, float lowest, float highest,
                                 float steps_per_od, float middle, float scale, float *out) {
    for (int64_t cell = 0; cell < n; cell++, out += 2 * SAMPLES * RAYS)
        for (int ray = 0; ray < RAYS; ray++)
            for (int k = 0; k < SAMPLES; k++, od++, other++) {
                float value = *od < lowest ? lowest : *od > highest ? highest : *od;
                value = (rintf(value * steps_per_od) / steps_per_od - middle) / scale;
                out[k * RAYS + ray] = *other ? 0 : value;
                out[(SAMPLES + k) * RAYS + ray] = *other;
            }
    return 0;
}
