/* What lies along rays out of nuclei. */
#include "kernels.h"

enum { LONGEST = 28, STRETCH = 7, FRACTION = 32, FRACTION_BITS = 5 };
_Static_assert(LONGEST % STRETCH == 0, "a ray is followed in whole stretches");
enum { LENGTH = BEFORE + LONGEST + SAMPLES, PIXELS = RAYS * SAMPLES };

/* levels: (PLANES, rows, columns); what is read of each plane lies `apart`. */
typedef struct {
    int32_t rows, columns;
    const uint8_t *levels;
    const int32_t *labels;
    int64_t apart;
} Image;

static inline int32_t clamped(int32_t at, int32_t length) {
    return at < 0 ? 0 : at >= length ? length - 1 : at;
}

/* What is read of the rays of a cell: at each sample a pixel of each plane and the one to its right, the same in the row
   below, how far right and below of the former it lies in 1/32 px, and the label of the nearest pixel. */
typedef struct {
    uint16_t upper[PLANES][PIXELS], lower[PLANES][PIXELS];
    int16_t right[PIXELS], below[PIXELS];
    int32_t label[PIXELS];
} Samples;

/* What lies between four pixels, rounded to whole levels from 1/64 of them; right and below in 1/32 px. All numbers are
   of 16 bits, of which a processor works on many at once. */
static inline uint8_t between(int16_t upper_left, int16_t upper_right, int16_t lower_left, int16_t lower_right,
                              int16_t right, int16_t below) {
    int16_t above = (int16_t)(FRACTION * upper_left + right * (upper_right - upper_left));
    int16_t under = (int16_t)(FRACTION * lower_left + right * (lower_right - lower_left));
    int16_t change = (int16_t)(((int32_t)(int16_t)(4 * (under - above)) * (int16_t)(below << 10)) >> 16); /* in 1/64 */
    return (uint8_t)((int16_t)(2 * above + change + 32) >> 6);
}

/* Two pixels side by side, the left one in the lower byte. */
static inline uint16_t pair(const uint8_t *pixel) {
    return (uint16_t)(pixel[0] | pixel[1] << 8);
}

/* How many of a ray's steps from (x, y) on lie in the nucleus, up to the first whole stretch outside of it: most nuclei
   end long before LONGEST. */
static inline int32_t steps_within(const Image *image, int32_t own, int32_t x, int32_t y, const int32_t *across,
                                   const int32_t *down) {
    int32_t within = 0;
    for (int first = BEFORE; first < BEFORE + LONGEST; first += STRETCH) {
        int32_t nearest[STRETCH], found = 0;
        for (int k = 0; k < STRETCH; k++)
            nearest[k] = ((y + down[first + k] + FRACTION / 2) >> FRACTION_BITS) * image->columns +
                         ((x + across[first + k] + FRACTION / 2) >> FRACTION_BITS);
        for (int k = 0; k < STRETCH; k++) found += image->labels[nearest[k]] == own;
        if (!found) break;
        within += found;
    }
    return within;
}

/* Read the rays of a cell that lie inside of the image, from (x, y) on. First all that has to be looked up, then what
   follows from it: a processor waits if it needs many small numbers as one large one right after they were written. */
static void read_inner_rays(const Image *image, int32_t own, int32_t x, int32_t y, const int32_t *steps, uint8_t *level,
                            uint8_t *other, int32_t *edge) {
    int32_t columns = image->columns, plane = image->rows * columns;
    Samples of;
    for (int ray = 0; ray < RAYS; ray++) {
        const int32_t *across = steps + ray * LENGTH, *down = across + RAYS * LENGTH;
        int32_t within = edge[ray] = steps_within(image, own, x, y, across, down), corner[SAMPLES], nearest[SAMPLES];
        for (int k = 0; k < SAMPLES; k++) {
            int32_t at_x = x + across[within + k], at_y = y + down[within + k], i = ray * SAMPLES + k;
            of.right[i] = (int16_t)(at_x & (FRACTION - 1));
            of.below[i] = (int16_t)(at_y & (FRACTION - 1));
            corner[k] = (at_y >> FRACTION_BITS) * columns + (at_x >> FRACTION_BITS);
            nearest[k] = ((at_y + FRACTION / 2) >> FRACTION_BITS) * columns + ((at_x + FRACTION / 2) >> FRACTION_BITS);
        }
        for (int k = 0; k < SAMPLES; k++) {
            int32_t i = ray * SAMPLES + k;
            for (int p = 0; p < PLANES; p++) {
                of.upper[p][i] = pair(image->levels + p * plane + corner[k]);
                of.lower[p][i] = pair(image->levels + p * plane + corner[k] + columns);
            }
            of.label[i] = image->labels[nearest[k]];
        }
    }
    for (int i = 0; i < PIXELS; i++) other[i] = (of.label[i] != 0) & (of.label[i] != own);
    for (int p = 0; p < PLANES; p++, level += image->apart)
        for (int i = 0; i < PIXELS; i++)
            level[i] = between(of.upper[p][i] & 255, of.upper[p][i] >> 8, of.lower[p][i] & 255, of.lower[p][i] >> 8,
                               of.right[i], of.below[i]);
}

/* Read a ray that may leave the image: how many steps lie in the nucleus, and what lies from BEFORE steps before that
   on. Beyond the image, it goes on as at its edge. */
static int32_t read_ray(const Image *image, int32_t own, int32_t x, int32_t y, const int32_t *across,
                        const int32_t *down, uint8_t *level, uint8_t *other) {
    int32_t columns = image->columns, rows = image->rows, within = 0;
    const int32_t *labels = image->labels;
    for (int first = BEFORE, found = 1; found && first < BEFORE + LONGEST; first += STRETCH, within += found) {
        found = 0;
        for (int k = first; k < first + STRETCH; k++) {
            int32_t column = clamped((x + across[k] + FRACTION / 2) >> FRACTION_BITS, columns);
            int32_t row = clamped((y + down[k] + FRACTION / 2) >> FRACTION_BITS, rows);
            found += labels[row * columns + column] == own;
        }
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
        for (int p = 0; p < PLANES; p++) {
            const uint8_t *upper = image->levels + (p * rows + top) * columns;
            const uint8_t *lower = image->levels + (p * rows + bottom) * columns;
            level[p * image->apart + k] = between(upper[left], upper[right], lower[left], lower[right],
                                                  at_x & (FRACTION - 1), at_y & (FRACTION - 1));
        }
    }
    return within;
}

/* Read planes of levels and labels along the rays of n cells, whose own labels are first_label, first_label + 1, ...
   middle: (n, 2) as x, y; steps: (2, RAYS, LENGTH); both in 1/32 px. Beyond the image, it goes on as at its edge.
   levels: (PLANES, rows, columns) and less than 2**31 of them; level: (PLANES, n, RAYS, SAMPLES).
   A ray leaves its nucleus after as many steps as lie in it before it leaves it for a whole stretch; level and other
   begin BEFORE steps before that. */
EXPORT int64_t ihc_read_profiles(int64_t n, int32_t rows, int32_t columns, const uint8_t *levels, const int32_t *labels,
                                 int32_t first_label, const int32_t *middle, const int32_t *steps, uint8_t *level,
                                 uint8_t *other, int32_t *edge) {
    const Image image = {rows, columns, levels, labels, n * PIXELS};
    int32_t reach = 2;
    for (int k = 0; k < 2 * RAYS * LENGTH; k++)
        if (abs(steps[k]) / FRACTION + 2 > reach) reach = abs(steps[k]) / FRACTION + 2;
    for (int64_t cell = 0; cell < n; cell++) {
        int32_t x = middle[2 * cell], y = middle[2 * cell + 1], own = first_label + (int32_t)cell;
        int32_t column = x >> FRACTION_BITS, row = y >> FRACTION_BITS;
        int inside = column >= reach && row >= reach && column + reach < columns && row + reach < rows;
        if (inside) {
            read_inner_rays(&image, own, x, y, steps, level + cell * PIXELS, other + cell * PIXELS, edge + cell * RAYS);
            continue;
        }
        for (int64_t ray = cell * RAYS, k = 0; k < RAYS; ray++, k++) {
            const int32_t *across = steps + k * LENGTH, *down = across + RAYS * LENGTH;
            edge[ray] = read_ray(&image, own, x, y, across, down, level + ray * SAMPLES, other + ray * SAMPLES);
        }
    }
    return 0;
}

/* What the network sees of profiles: (n, PLANES + 1, SAMPLES, around + RAYS + around), levels of each plane times its
   scale plus its offset, the first where no other nucleus lies alone, and last where one does. Rays go round: before the
   first come the last ones. */
EXPORT int64_t ihc_seen_profiles(int64_t n, const uint8_t *level, const uint8_t *other, const float *scale,
                                 const float *offset, int64_t around, float *out) {
    int64_t columns = RAYS + 2 * around, size = (PLANES + 1) * SAMPLES * columns;
    for (int64_t cell = 0; cell < n; cell++, level += PIXELS, other += PIXELS, out += size) {
        float values[PLANES + 1][PIXELS];
        for (int p = 0; p < PLANES; p++)
            for (int i = 0; i < PIXELS; i++) values[p][i] = (float)level[p * n * PIXELS + i] * scale[p] + offset[p];
        for (int i = 0; i < PIXELS; i++) values[PLANES][i] = other[i];
        for (int i = 0; i < PIXELS; i++) values[0][i] *= 1 - values[PLANES][i];
        for (int p = 0; p < PLANES + 1; p++)
            for (int k = 0; k < SAMPLES; k++)
                for (int ray = 0; ray < RAYS; ray++)
                    out[(p * SAMPLES + k) * columns + around + ray] = values[p][ray * SAMPLES + k];
        for (float *line = out; line < out + size; line += columns)
            for (int64_t k = 0; k < around; k++) {
                line[k] = line[k + RAYS];
                line[RAYS + around + k] = line[around + k];
            }
    }
    return 0;
}
