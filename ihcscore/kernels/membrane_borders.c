/* What was found along rays out of nuclei, to the membrane of each cell. */
#include "kernels.h"

enum { ROOMY = 3, BESIDE = 4 };

/* Width, in samples, of what stands out at a sample, at half its height over the lowest density beside it. */
static int width_at(const uint8_t *level, int at) {
    int across[2 * BESIDE + 1], lowest = UINT8_MAX, middle = 0;
    for (int k = -BESIDE; k <= BESIDE; k++) {
        int sample = at + k < 0 ? 0 : at + k >= SAMPLES ? SAMPLES - 1 : at + k;
        int value = across[k + BESIDE] = level[sample];
        if (value < lowest) lowest = value;
        if (k >= -1 && k <= 1 && value > middle) middle = value;
    }
    int width = 0;
    for (int k = 0; k <= 2 * BESIDE; k++) width += 2 * across[k] >= middle + lowest;
    return width;
}

/* Tell of each ray whether its border is a stained line, how wide that is, and for which part of the cell's perimeter it
   stands; a ray stands for none if another nucleus takes each of its first ROOMY samples outside.
   level, other: (n, RAYS, SAMPLES); all else (n, RAYS). */
EXPORT int64_t ihc_find_borders(int64_t n, const uint8_t *level, const uint8_t *other, const float *edge_um,
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
            width_um[i] = step_um * (float)width_at(level + i * SAMPLES, at);
            share[i] = roomy ? radius_um[i] : 0;
            total += share[i];
        }
        for (int64_t i = first; i < first + RAYS && total > 0; i++) share[i] = (float)(share[i] / total);
    }
    return 0;
}

/* Sum up the rays of each cell: mean density, stained share of the perimeter, share of that which goes on beside it, mean
   width of what is stained, and the densities below which the shares `below` of the stained perimeter lie, 0 if there is
   none. A ray goes on in a neighbour that is stained at a distance that differs by no more than bend_um.
   out: (n, 4 + count); NaN where there is nothing to tell. */
EXPORT int64_t ihc_sum_up_borders(int64_t n, const float *od, const uint8_t *stained, const float *radius_um,
                                  const float *width_um, const float *share, float bend_um, int64_t count,
                                  const double *below, float *out) {
    for (int64_t cell = 0; cell < n; cell++, out += 4 + count) {
        int64_t first = cell * RAYS;
        double mean = 0, linear = 0, lined = 0, width = 0, room = 0;
        int number = 0, order[RAYS];
        for (int k = 0; k < RAYS; k++) {
            int64_t i = first + k;
            mean += (double)share[i] * od[i];
            room += share[i];
            if (!stained[i]) continue;
            int at = number++; /* insertion keeps equal ones in their order */
            for (; at && od[first + order[at - 1]] > od[i]; at--) order[at] = order[at - 1];
            order[at] = k;
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
        out[1] = room > 0 ? (float)(lined / room) : NAN;
        out[2] = lined > 0 ? (float)(linear / lined) : NAN;
        out[3] = lined > 0 ? (float)(width / number) : NAN;
        double sum = number ? share[first + order[0]] : 0;
        for (int64_t k = 0, at = 0; k < count; k++) {
            while (at < number - 1 && sum < below[k] * lined) sum += share[first + order[++at]];
            out[4 + k] = number ? od[first + order[at]] : room > 0 ? 0 : NAN;
        }
    }
    return 0;
}

/* e to the power of x, x <= 0: of basic operations alone, so that every system gives the same bytes. */
static inline float exp_below(float x) {
    x = x < -87 ? -87 : x;
    float whole = rintf(x * 1.44269504f);
    float rest = x - whole * 0.693359375f + whole * 2.12194440e-4f; /* ln 2 in two parts */
    float power = 1 + rest * (1 + rest * (0.5f + rest * (1 / 6.0f + rest * (1 / 24.0f + rest * (1 / 120.0f +
                  rest * (1 / 720.0f))))));
    int32_t bits = ((int32_t)whole + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return power * scale;
}

/* Logarithm of 1 + x, 0 <= x <= 1. */
static inline float log_above(float x) {
    float s = x / (2 + x), square = s * s;
    return 2 * s * (1 + square * (1 / 3.0f + square * (1 / 5.0f + square * (1 / 7.0f + square * (1 / 9.0f +
           square * (1 / 11.0f + square * (1 / 13.0f)))))));
}

enum { PLACES = SAMPLES / 2, GROUP = 4, GROUPS = RAYS / GROUP, PAIR = 2, PAIRS = PLACES / PAIR };
enum { PLACE, DENSITY, LINED, KINDS, PROPOSALS = KINDS * RAYS * PLACES };

/* What is proposed of a kind for a place of the rays that stand at `ray` in their groups, one for each group. */
static inline const float *proposed(const float *proposals, int kind, int place, int ray) {
    return proposals + (((kind * PAIR + place % PAIR) * GROUP + ray) * PAIRS + place / PAIR) * GROUPS;
}

/* Choose for the rays of one cell that stand at `ray` in their groups. */
static void settle(const float *proposals, const float *prior, int ray, float *od, float *line, float *step) {
    float place[PLACES][GROUPS], highest[GROUPS], total[GROUPS] = {0}, density[GROUPS] = {0}, logit[GROUPS] = {0};
    float at[GROUPS] = {0};
    for (int j = 0; j < GROUPS; j++) highest[j] = -INFINITY;
    for (int k = 0; k < PLACES; k++)
        for (int j = 0; j < GROUPS; j++) {
            place[k][j] = proposed(proposals, PLACE, k, ray)[j] + prior[k];
            highest[j] = place[k][j] > highest[j] ? place[k][j] : highest[j];
        }
    for (int k = 0; k < PLACES; k++) {
        const float *dense = proposed(proposals, DENSITY, k, ray), *lined = proposed(proposals, LINED, k, ray);
        for (int j = 0; j < GROUPS; j++) {
            float weight = exp_below(place[k][j] - highest[j]);
            total[j] += weight;
            density[j] += weight * dense[j];
            logit[j] += weight * lined[j];
            at[j] += weight * (float)(2 * k);
        }
    }
    for (int j = 0; j < GROUPS; j++) {
        float dense = 4 * (density[j] / total[j]), stained = logit[j] / total[j];
        float less = exp_below(stained < 0 ? stained : -stained);
        float more = (dense > 0 ? dense : 0) + log_above(exp_below(dense < 0 ? dense : -dense)); /* softplus */
        od[GROUP * j] = more / 4;
        line[GROUP * j] = (stained < 0 ? less : 1) / (1 + less);
        step[GROUP * j] = at[j] / total[j];
    }
}

/* Every second sample of a ray proposes a place, a density and a line; a softmax of the places, to which `prior` is
   added, chooses between them. proposals: (n, KINDS, PAIR, GROUP, PAIRS, GROUPS); prior: (PLACES); all else (n, RAYS). */
EXPORT int64_t ihc_read_proposals(int64_t n, const float *proposals, const float *prior, float *od, float *line,
                                  float *step) {
    for (int64_t cell = 0; cell < n; cell++, proposals += PROPOSALS, od += RAYS, line += RAYS, step += RAYS)
        for (int ray = 0; ray < GROUP; ray++) settle(proposals, prior, ray, od + ray, line + ray, step + ray);
    return 0;
}
