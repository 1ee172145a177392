/* What lies along rays out of nuclei. */
#include "kernels.h"

enum { LONGEST = 28, FRACTION = 32, FRACTION_BITS = 5 };
enum { LENGTH = BEFORE + LONGEST + SAMPLES };

typedef struct {
    int32_t rows, columns;
    const float *dab;
    const int32_t *labels;
} Image;

static inline int32_t clamped(int32_t at, int32_t length) {
    return at < 0 ? 0 : at >= length ? length - 1 : at;
}

/* Where the samples of a ray are: the pixel up and left of each, how far beyond it in 1/32 px, the nearest pixel. */
typedef struct {
    int32_t corner[SAMPLES], right[SAMPLES], below[SAMPLES], nearest[SAMPLES];
} Places;

/* Read one ray that lies inside of the image, from (x, y) on: how many steps lie in the nucleus, and what lies from
   BEFORE steps before that on. In steps, so that all but the reading is done for several samples at once. */
static inline int32_t read_inner_ray(const Image *image, int32_t own, int32_t x, int32_t y, const int32_t *across,
                                     const int32_t *down, float *od, uint8_t *other) {
    int32_t columns = image->columns, within = 0, nearest[LONGEST];
    for (int k = 0; k < LONGEST; k++)
        nearest[k] = ((y + down[k + BEFORE] + FRACTION / 2) >> FRACTION_BITS) * columns +
                     ((x + across[k + BEFORE] + FRACTION / 2) >> FRACTION_BITS);
    for (int k = 0; k < LONGEST; k++) within += image->labels[nearest[k]] == own;
    across += within;
    down += within;
    Places at;
    for (int k = 0; k < SAMPLES; k++) {
        int32_t at_x = x + across[k], at_y = y + down[k];
        at.right[k] = at_x & (FRACTION - 1);
        at.below[k] = at_y & (FRACTION - 1);
        at.corner[k] = (at_y >> FRACTION_BITS) * columns + (at_x >> FRACTION_BITS);
        at.nearest[k] = ((at_y + FRACTION / 2) >> FRACTION_BITS) * columns + ((at_x + FRACTION / 2) >> FRACTION_BITS);
    }
    float corners[4][SAMPLES];
    int32_t labels[SAMPLES];
    for (int k = 0; k < SAMPLES; k++) {
        const float *upper = image->dab + at.corner[k], *lower = upper + columns;
        corners[0][k] = upper[0], corners[1][k] = upper[1], corners[2][k] = lower[0], corners[3][k] = lower[1];
        labels[k] = image->labels[at.nearest[k]];
    }
    for (int k = 0; k < SAMPLES; k++) {
        float to_right = (float)at.right[k] / FRACTION, below = (float)at.below[k] / FRACTION;
        float above = corners[0][k] + to_right * (corners[1][k] - corners[0][k]);
        float under = corners[2][k] + to_right * (corners[3][k] - corners[2][k]);
        od[k] = above + below * (under - above);
        other[k] = (labels[k] != 0) & (labels[k] != own);
    }
    return within;
}

/* The same of a ray that may leave the image: beyond it, it goes on as at its edge. */
static int32_t read_ray(const Image *image, int32_t own, int32_t x, int32_t y, const int32_t *across,
                        const int32_t *down, float *od, uint8_t *other) {
    int32_t columns = image->columns, rows = image->rows, within = 0;
    const int32_t *labels = image->labels;
    for (int k = BEFORE; k < BEFORE + LONGEST; k++) {
        int32_t column = clamped((x + across[k] + FRACTION / 2) >> FRACTION_BITS, columns);
        int32_t row = clamped((y + down[k] + FRACTION / 2) >> FRACTION_BITS, rows);
        within += labels[row * columns + column] == own;
    }
    across += within;
    down += within;
    for (int k = 0; k < SAMPLES; k++) {
        int32_t at_x = x + across[k], at_y = y + down[k];
        int32_t left = clamped(at_x >> FRACTION_BITS, columns), top = clamped(at_y >> FRACTION_BITS, rows);
        int32_t right = clamped((at_x >> FRACTION_BITS) + 1, columns), bottom = clamped((at_y >> FRACTION_BITS) + 1, rows);
        int32_t column = clamped((at_x + FRACTION / 2) >> FRACTION_BITS, columns);
        int32_t row = clamped((at_y + FRACTION / 2) >> FRACTION_BITS, rows), label = labels[row * columns + column];
        other[k] = (label != 0) & (label != own);
        float to_right = (float)(at_x & (FRACTION - 1)) / FRACTION, below = (float)(at_y & (FRACTION - 1)) / FRACTION;
        const float *upper = image->dab + top * columns, *lower = image->dab + bottom * columns;
        float above = upper[left] + to_right * (upper[right] - upper[left]);
        float under = lower[left] + to_right * (lower[right] - lower[left]);
        od[k] = above + below * (under - above);
    }
    return within;
}

/* Read density and labels along the rays of n cells, whose own labels are first_label, first_label + 1, ...
   middle: (n, 2) as x, y; steps: (2, RAYS, LENGTH); both in 1/32 px. Beyond the image, it goes on as at its edge.
   A ray leaves its nucleus after as many steps as lie in it; od and other begin BEFORE steps before that. */
EXPORT int64_t ihc_read_profiles(int64_t n, int32_t rows, int32_t columns, const float *dab, const int32_t *labels,
                                 int32_t first_label, const int32_t *middle, const int32_t *steps, float *od,
                                 uint8_t *other, int32_t *edge) {
    const Image image = {rows, columns, dab, labels};
    int32_t reach = 2;
    for (int k = 0; k < 2 * RAYS * LENGTH; k++)
        if (abs(steps[k]) / FRACTION + 2 > reach) reach = abs(steps[k]) / FRACTION + 2;
    for (int64_t cell = 0; cell < n; cell++) {
        int32_t x = middle[2 * cell], y = middle[2 * cell + 1], own = first_label + (int32_t)cell;
        int32_t column = x >> FRACTION_BITS, row = y >> FRACTION_BITS;
        int inside = column >= reach && row >= reach && column + reach < columns && row + reach < rows;
        for (int64_t ray = cell * RAYS, k = 0; k < RAYS; ray++, k++) {
            const int32_t *across = steps + k * LENGTH, *down = across + RAYS * LENGTH;
            float *line = od + ray * SAMPLES;
            uint8_t *others = other + ray * SAMPLES;
            edge[ray] = inside ? read_inner_ray(&image, own, x, y, across, down, line, others)
                               : read_ray(&image, own, x, y, across, down, line, others);
        }
    }
    return 0;
}

/* What the network sees of profiles: (n, 2, SAMPLES, around + RAYS + around), density where no other nucleus lies, and
   where one does. Rays go round: before the first come the last ones. */
EXPORT int64_t ihc_seen_profiles(int64_t n, const float *od, const uint8_t *other, float lowest, float highest,
                                 float steps_per_od, float middle, float scale, int64_t around, float *out) {
    enum { PIXELS = RAYS * SAMPLES };
    int64_t columns = RAYS + 2 * around;
    for (int64_t cell = 0; cell < n; cell++, od += PIXELS, other += PIXELS, out += 2 * SAMPLES * columns) {
        float density[PIXELS], there[PIXELS];
        for (int i = 0; i < PIXELS; i++) {
            float value = od[i] < lowest ? lowest : od[i] > highest ? highest : od[i];
            value = (rintf(value * steps_per_od) / steps_per_od - middle) / scale;
            density[i] = other[i] ? 0 : value;
            there[i] = other[i];
        }
        for (int k = 0; k < SAMPLES; k++)
            for (int ray = 0; ray < RAYS; ray++) {
                out[k * columns + around + ray] = density[ray * SAMPLES + k];
                out[(SAMPLES + k) * columns + around + ray] = there[ray * SAMPLES + k];
            }
        for (float *line = out; line < out + 2 * SAMPLES * columns; line += columns)
            for (int64_t k = 0; k < around; k++) {
                line[k] = line[k + RAYS];
                line[RAYS + around + k] = line[around + k];
            }
    }
    return 0;
}
