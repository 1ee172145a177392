/* Labels to cells, and the pixels of cells to sums and quantiles. */
#include "kernels.h"

enum { PARTS = 4, STAINS = 2, BINS = 256, QUANTILES = 3 };

enum { NUCLEUS, CYTOPLASM, MEMBRANE, EDGE };

/* Tell which pixels have another label at one of `count` places (down, right) around them, no farther than `reach`, of
   which one between each and the pixel is a place, too. What lies outside of the image is no other label. */
EXPORT int64_t ihc_near_border(int64_t rows, int64_t columns, const int32_t *labels, int64_t reach, int64_t count,
                               const int64_t *down, const int64_t *right, uint8_t *out) {
    int64_t stride = columns + 2 * reach, height = 2 * reach + 1;
    int32_t *padded = malloc((size_t)((height + 1) * stride) * sizeof *padded), *differs = padded + height * stride;
    if (!padded) return NO_MEMORY;
    for (int64_t y = -reach; y < rows + reach; y++) { /* beyond the edge it goes on as it is there */
        int64_t from = y < 0 ? 0 : y >= rows ? rows - 1 : y, at = y - reach;
        int32_t *to = padded + (y + reach) % height * stride; /* of the rows, as many as are looked at are kept */
        for (int64_t k = 0; k < reach; k++) {
            to[k] = labels[from * columns];
            to[reach + columns + k] = labels[(from + 1) * columns - 1];
        }
        memcpy(to + reach, labels + from * columns, (size_t)columns * sizeof *to);
        if (at < 0) continue;
        const int32_t *here = padded + (at + reach) % height * stride + reach;
        memset(differs, 0, (size_t)columns * sizeof *differs);
        for (int64_t k = 0; k < count; k++) {
            const int32_t *there = padded + (at + reach + down[k]) % height * stride + reach + right[k];
            for (int64_t x = 0; x < columns; x++) differs[x] |= here[x] ^ there[x];
        }
        for (int64_t x = 0; x < columns; x++) out[at * columns + x] = differs[x] != 0;
    }
    free(padded);
    return 0;
}

/* Tell the parts of cells apart. margin: near the border of a cell; within, around: near that of a nucleus, on its two
   sides. Where a nucleus or a cytoplasm would be all edge, it has none. has: (count, 2), zeros. */
EXPORT int64_t ihc_partition(int64_t n, const int32_t *nuclei, const int32_t *cells, const uint8_t *margin,
                             const uint8_t *within, const uint8_t *around, uint8_t *has, uint8_t *part) {
    for (int64_t i = 0; i < n; i++) {
        if (nuclei[i] > 0)
            has[2 * nuclei[i]] |= !within[i];
        else if (cells[i] > 0 && !margin[i])
            has[2 * cells[i] + 1] |= !around[i];
    }
    for (int64_t i = 0; i < n; i++) {
        if (nuclei[i] > 0)
            part[i] = within[i] && has[2 * nuclei[i]] ? EDGE : NUCLEUS;
        else if (cells[i] > 0 && margin[i])
            part[i] = MEMBRANE;
        else
            part[i] = cells[i] > 0 && around[i] && has[2 * cells[i] + 1] ? EDGE : CYTOPLASM;
    }
    return 0;
}

typedef struct {
    double sum, squares;
    float low, high;
} Spread;

typedef struct {
    int64_t pixels;
    double channel[3];
    int64_t saturated;
    Spread stain[STAINS];
} Part;

static void quantiles_of(const uint32_t *histogram, int64_t n, double lowest, double bin, const double *shares,
                         double *out) {
    int64_t below = 0;
    int at = 0;
    for (int q = 0; q < QUANTILES; q++) {
        if (!n) {
            out[q] = NAN;
            continue;
        }
        double wanted = shares[q] * (double)n;
        while ((double)(below + histogram[at]) < wanted) below += histogram[at++];
        double inside = (double)histogram[at];
        out[q] = lowest + bin * ((double)(at + 1) - ((double)(below + histogram[at]) - wanted) / inside);
    }
}

/* Statistics of each part of each cell, from spans sorted by cell.
   od[c][level] is the optical density of a channel, shares[stain][c][level] what it adds to a stain.
   pixels, saturated: (count, PARTS); channel: (count, PARTS, 3); spread: (count, PARTS, STAINS, 4) as sum, squares,
   lowest, highest, the latter NaN without pixels; quantiles: (count, PARTS, STAINS, 3), of the whole cell in the place
   of its edge. scratch: STAINS * PARTS * BINS numbers. */
EXPORT int64_t ihc_measure_cells(int64_t count, const int64_t *number, const int64_t *row, const int64_t *start,
                              const int64_t *stop, int64_t width, const uint8_t *rgb, const uint8_t *part,
                              const float *od, const float *shares, float saturated_od, double lowest_od, double bin_od,
                              const double *wanted, uint32_t *scratch, int64_t *pixels, int64_t *saturated,
                              double *channel, double *spread, double *quantiles) {
    uint32_t (*histogram)[PARTS][BINS] = (uint32_t (*)[PARTS][BINS])scratch;
    float first_bin = (float)lowest_od, bins_per_od = (float)(1 / bin_od);
    for (int64_t cell = 0, s = 0; cell < count; cell++) {
        Part found[PARTS];
        memset(found, 0, sizeof found);
        memset(scratch, 0, STAINS * PARTS * BINS * sizeof *scratch);
        for (int p = 0; p < PARTS; p++)
            for (int k = 0; k < STAINS; k++) {
                found[p].stain[k].low = INFINITY;
                found[p].stain[k].high = -INFINITY;
            }
        for (int64_t last = s + number[cell]; s < last; s++) {
            int64_t i = row[s] * width + start[s], end = row[s] * width + stop[s];
            while (i < end) { /* a stretch of one part at a time, whose sums stay in registers */
                int which = part[i] & (PARTS - 1);
                Part p = found[which];
                for (; i < end && (part[i] & (PARTS - 1)) == which; i++) {
                    const uint8_t *light = rgb + 3 * i;
                    float red = od[light[0]], green = od[256 + light[1]], blue = od[512 + light[2]];
                    p.pixels++;
                    p.channel[0] += red;
                    p.channel[1] += green;
                    p.channel[2] += blue;
                    p.saturated += (red >= saturated_od) | (green >= saturated_od) | (blue >= saturated_od);
                    for (int k = 0; k < STAINS; k++) {
                        const float *share = shares + k * 768;
                        float value = share[light[0]] + share[256 + light[1]] + share[512 + light[2]];
                        p.stain[k].sum += value;
                        p.stain[k].squares += (double)value * (double)value;
                        p.stain[k].low = value < p.stain[k].low ? value : p.stain[k].low;
                        p.stain[k].high = value > p.stain[k].high ? value : p.stain[k].high;
                        float step = (value - first_bin) * bins_per_od;
                        step = step < 0 ? 0 : step > BINS - 1 ? BINS - 1 : step;
                        histogram[k][which][(int)step]++;
                    }
                }
                found[which] = p;
            }
        }
        int64_t all = 0;
        for (int p = 0; p < PARTS; p++) all += found[p].pixels;
        for (int k = 0; k < STAINS; k++)
            for (int b = 0; b < BINS; b++)
                histogram[k][EDGE][b] += histogram[k][0][b] + histogram[k][1][b] + histogram[k][2][b];
        for (int p = 0; p < PARTS; p++) {
            int64_t at = cell * PARTS + p;
            pixels[at] = found[p].pixels;
            saturated[at] = found[p].saturated;
            for (int c = 0; c < 3; c++) channel[3 * at + c] = found[p].channel[c];
            for (int k = 0; k < STAINS; k++) {
                const Spread *of = &found[p].stain[k];
                double *out = spread + 4 * (STAINS * at + k);
                out[0] = of->sum;
                out[1] = of->squares;
                out[2] = found[p].pixels ? of->low : NAN;
                out[3] = found[p].pixels ? of->high : NAN;
                quantiles_of(histogram[k][p], p == EDGE ? all : found[p].pixels, lowest_od, bin_od, wanted,
                             quantiles + QUANTILES * (STAINS * at + k));
            }
        }
    }
    return 0;
}
