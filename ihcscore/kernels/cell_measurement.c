/* The pixels of cells to sums and quantiles. */
#include "kernels.h"

enum { PARTS = 4, STAINS = 2, BINS = 256, QUANTILES = 3, EDGE = 3 };

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

typedef uint32_t Histograms[STAINS][PARTS][BINS];

typedef struct {
    const uint8_t *rgb, *part;
    const float *od, *shares; /* of each channel and level; what these add to each stain */
    float saturated_od;
    double lowest_od, bin_od;
    const double *wanted;
} Measure;

/* Add the pixels from i on that are of one part, and give the first that is not: the sums stay in registers. */
static inline int64_t add_stretch(const Measure *m, int64_t i, int64_t end, Part *found, Histograms histograms) {
    float first_bin = (float)m->lowest_od, bins_per_od = (float)(1 / m->bin_od);
    int which = m->part[i] & (PARTS - 1);
    Part p = found[which];
    for (; i < end && (m->part[i] & (PARTS - 1)) == which; i++) {
        const uint8_t *light = m->rgb + 3 * i;
        float red = m->od[light[0]], green = m->od[256 + light[1]], blue = m->od[512 + light[2]];
        p.pixels++;
        p.channel[0] += red;
        p.channel[1] += green;
        p.channel[2] += blue;
        p.saturated += (red >= m->saturated_od) | (green >= m->saturated_od) | (blue >= m->saturated_od);
        for (int k = 0; k < STAINS; k++) {
            const float *share = m->shares + k * 768;
            float value = share[light[0]] + share[256 + light[1]] + share[512 + light[2]];
            p.stain[k].sum += value;
            p.stain[k].squares += (double)value * (double)value;
            p.stain[k].low = value < p.stain[k].low ? value : p.stain[k].low;
            p.stain[k].high = value > p.stain[k].high ? value : p.stain[k].high;
            float step = (value - first_bin) * bins_per_od;
            step = step < 0 ? 0 : step > BINS - 1 ? BINS - 1 : step;
            histograms[k][which][(int)step]++;
        }
    }
    found[which] = p;
    return i;
}

/* The densities below which the wanted shares of n values lie, linear within a bin; NaN without values. */
static void quantiles_of(const Measure *m, const uint32_t *histogram, int64_t n, double *out) {
    int64_t below = 0;
    int at = 0;
    while (n && !(histogram[at] | histogram[at + 1] | histogram[at + 2] | histogram[at + 3])) at += 4;
    for (int q = 0; q < QUANTILES; q++) {
        if (!n) {
            out[q] = NAN;
            continue;
        }
        double wanted = m->wanted[q] * (double)n;
        while ((double)(below + histogram[at]) < wanted) below += histogram[at++];
        double inside = (double)histogram[at], above = (double)(below + histogram[at]) - wanted;
        out[q] = m->lowest_od + m->bin_od * ((double)(at + 1) - above / inside);
    }
}

/* Statistics of each part of each cell, from spans sorted by cell.
   od[c][level] is the optical density of a channel, shares[stain][c][level] what it adds to a stain.
   pixels, saturated: (count, PARTS); channel: (count, PARTS, 3); spread: (count, PARTS, STAINS, 4) as sum, squares,
   lowest, highest, the latter NaN without pixels; quantiles: (count, PARTS, STAINS, 3), of the whole cell in the place
   of its edge. */
EXPORT int64_t ihc_measure_cells(int64_t count, const int64_t *number, const int64_t *row, const int64_t *start,
                              const int64_t *stop, int64_t width, const uint8_t *rgb, const uint8_t *part,
                              const float *od, const float *shares, float saturated_od, double lowest_od, double bin_od,
                              const double *wanted, int64_t *pixels, int64_t *saturated, double *channel,
                              double *spread, double *quantiles) {
    const Measure m = {rgb, part, od, shares, saturated_od, lowest_od, bin_od, wanted};
    for (int64_t cell = 0, s = 0; cell < count; cell++) {
        const Spread none = {0, 0, INFINITY, -INFINITY};
        const Part empty = {0, {0, 0, 0}, 0, {none, none}};
        Part found[PARTS] = {empty, empty, empty, empty};
        Histograms histograms;
        memset(histograms, 0, sizeof histograms);
        for (int64_t last = s + number[cell]; s < last; s++)
            for (int64_t i = row[s] * width + start[s], end = row[s] * width + stop[s]; i < end;)
                i = add_stretch(&m, i, end, found, histograms);
        for (int k = 0; k < STAINS; k++)
            for (int b = 0; b < BINS; b++)
                histograms[k][EDGE][b] += histograms[k][0][b] + histograms[k][1][b] + histograms[k][2][b];
        int64_t all = found[0].pixels + found[1].pixels + found[2].pixels + found[3].pixels;
        for (int p = 0; p < PARTS; p++) {
            int64_t at = cell * PARTS + p, n = p == EDGE ? all : found[p].pixels;
            pixels[at] = found[p].pixels;
            saturated[at] = found[p].saturated;
            memcpy(channel + 3 * at, found[p].channel, sizeof found[p].channel);
            for (int k = 0; k < STAINS; k++) {
                const Spread *of = &found[p].stain[k];
                double low = found[p].pixels ? of->low : NAN, high = found[p].pixels ? of->high : NAN;
                const double values[4] = {of->sum, of->squares, low, high};
                memcpy(spread + 4 * (STAINS * at + k), values, sizeof values);
                quantiles_of(&m, histograms[k][p], n, quantiles + QUANTILES * (STAINS * at + k));
            }
        }
    }
    return 0;
}
