/* Light to stains: the optical density of a channel times its share of a stain is looked up for each of 256 levels. */
#include "kernels.h"

/* Multiply triples by a matrix from the right: out[k] = sum over c of in[c] * rows[c][k]. */
EXPORT int64_t ihc_transform(int64_t n, const float *in, const float *rows, float *out) {
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            out[3 * i + k] = in[3 * i] * rows[k] + in[3 * i + 1] * rows[3 + k] + in[3 * i + 2] * rows[6 + k];
    return 0;
}

/* One stain of each pixel in whole steps from `lowest` to 255 steps more; shares[c][level] are what each channel adds
   to it. */
EXPORT int64_t ihc_levels_of_light(int64_t n, const uint8_t *rgb, const float *shares, float lowest, float steps_per_od,
                                   uint8_t *out) {
    for (int64_t i = 0; i < n; i++, rgb += 3) {
        float od = shares[rgb[0]] + shares[256 + rgb[1]] + shares[512 + rgb[2]];
        float level = (od - lowest) * steps_per_od;
        out[i] = (uint8_t)(int32_t)rintf(level < 0 ? 0 : level > 255 ? 255 : level);
    }
    return 0;
}

/* Two stains of each pixel in whole steps of density between 0 and a cap; shares[stain][c][level]. */
EXPORT int64_t ihc_quantised_stains(int64_t n, const uint8_t *rgb, const float *shares, float steps_per_od,
                                    const int32_t *cap, uint8_t *first, uint8_t *second) {
    uint8_t *out[2] = {first, second};
    for (int64_t i = 0; i < n; i++, rgb += 3)
        for (int k = 0; k < 2; k++) {
            const float *share = shares + k * 768;
            float od = share[rgb[0]] + share[256 + rgb[1]] + share[512 + rgb[2]];
            int32_t level = (int32_t)rintf((od > 0 ? od : 0) * steps_per_od);
            out[k][i] = (uint8_t)(level < cap[k] ? level : cap[k]);
        }
    return 0;
}
