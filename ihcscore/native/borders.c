/* What was found along rays out of nuclei, to the membrane of each cell. */
#include "kernels.h"

enum { RAYS = 32, SAMPLES = 24, BEFORE = 2, ROOMY = 3, BESIDE = 4 };

/* Width, in samples, of what stands out at a sample, at half its height over the lowest density beside it. */
static int width_at(const float *od, int at) {
    float across[2 * BESIDE + 1], lowest = INFINITY, middle = -INFINITY;
    for (int k = -BESIDE; k <= BESIDE; k++) {
        int sample = at + k < 0 ? 0 : at + k >= SAMPLES ? SAMPLES - 1 : at + k;
        float value = across[k + BESIDE] = od[sample];
        if (value < lowest) lowest = value;
        if (k >= -1 && k <= 1 && value > middle) middle = value;
    }
    int width = 0;
    for (int k = 0; k <= 2 * BESIDE; k++) width += across[k] >= (middle + lowest) / 2;
    return width;
}

/* Tell of each ray whether its border is a stained line, how wide that is, and for which part of the cell's perimeter it
   stands; a ray stands for none if another nucleus takes each of its first ROOMY samples outside.
   od, other: (n, RAYS, SAMPLES); all else (n, RAYS). */
EXPORT int64_t ihc_find_borders(int64_t n, const float *od, const uint8_t *other, const float *edge_um,
                                const float *line, const float *radius_um, float least_line, float step_um,
                                uint8_t *stained, float *width_um, float *share) {
    for (int64_t cell = 0; cell < n; cell++) {
        double total = 0;
        int64_t first = cell * RAYS;
        for (int64_t i = first; i < first + RAYS; i++) {
            const uint8_t *beside = other + i * SAMPLES + BEFORE;
            int roomy = 0;
            for (int k = 0; k < ROOMY; k++) roomy |= !beside[k];
            int at = (int)rintf((radius_um[i] - edge_um[i]) / step_um) + BEFORE;
            stained[i] = roomy && line[i] >= least_line;
            width_um[i] = step_um * (float)width_at(od + i * SAMPLES, at);
            share[i] = roomy ? radius_um[i] : 0;
            total += share[i];
        }
        for (int64_t i = first; i < first + RAYS && total > 0; i++) share[i] = (float)(share[i] / total);
    }
    return 0;
}

/* Sum up the rays of each cell: mean density, share of the stained perimeter that goes on beside it, mean width of what
   is stained, and the densities below which the shares `below` of the perimeter lie, where what is not stained has 0.
   A ray goes on in a neighbour that is stained at a distance that differs by no more than bend_um. out: (n, 3 + count);
   NaN where there is nothing to tell. */
EXPORT int64_t ihc_sum_up_borders(int64_t n, const float *od, const uint8_t *stained, const float *radius_um,
                                  const float *width_um, const float *share, float bend_um, int64_t count,
                                  const double *below, float *out) {
    for (int64_t cell = 0; cell < n; cell++, out += 3 + count) {
        int64_t first = cell * RAYS;
        double mean = 0, linear = 0, lined = 0, width = 0, room = 0;
        int number = 0, order[RAYS];
        float seen[RAYS];
        for (int k = 0; k < RAYS; k++) {
            int64_t i = first + k;
            seen[k] = stained[i] ? od[i] : 0;
            int at = k; /* insertion keeps equal ones in their order */
            for (; at && seen[order[at - 1]] > seen[k]; at--) order[at] = order[at - 1];
            order[at] = k;
            mean += (double)share[i] * od[i];
            room += share[i];
            if (!stained[i]) continue;
            number++;
            width += width_um[i];
            lined += share[i];
            for (int turn = 1; turn < RAYS; turn += RAYS - 2) {
                int64_t beside = first + (k + turn) % RAYS;
                if (!stained[beside] || fabsf(radius_um[i] - radius_um[beside]) > bend_um) continue;
                linear += share[i];
                break;
            }
        }
        out[0] = room > 0 ? (float)mean : NAN;
        out[1] = room > 0 && lined > 0 ? (float)(linear / lined) : NAN;
        out[2] = room > 0 && number ? (float)(width / number) : NAN;
        double sum = share[first + order[0]];
        for (int64_t k = 0, at = 0; k < count; k++) {
            while (at < RAYS - 1 && sum < below[k]) sum += share[first + order[++at]];
            out[3 + k] = room > 0 ? seen[order[at]] : NAN;
        }
    }
    return 0;
}
