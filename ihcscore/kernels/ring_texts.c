/* Numbers to text. */
#include "kernels.h"

/* Write a number of hundredths with as many decimals as it needs, one at least. */
static uint8_t *write_hundredths(int64_t value, uint8_t *out) {
    uint8_t digits[24];
    int count = 0;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    int last = (int)(left % 10), first = (int)(left / 10 % 10);
    if (value < 0) *out++ = '-';
    left /= 100;
    do digits[count++] = (uint8_t)('0' + left % 10);
    while (left /= 10);
    while (count) *out++ = digits[--count];
    *out++ = '.';
    *out++ = (uint8_t)('0' + first);
    if (last) *out++ = (uint8_t)('0' + last);
    return out;
}

/* Write rings as [[x,y],[x,y],...]; stop: where the text of each ends. */
EXPORT int64_t ihc_ring_texts(int64_t rings, const int64_t *size, const int64_t *hundredths, uint8_t *out,
                              int64_t *stop) {
    uint8_t *begin = out;
    for (int64_t ring = 0; ring < rings; ring++) {
        *out++ = '[';
        for (int64_t k = 0; k < size[ring]; k++, hundredths += 2) {
            if (k) *out++ = ',';
            *out++ = '[';
            out = write_hundredths(hundredths[0], out);
            *out++ = ',';
            out = write_hundredths(hundredths[1], out);
            *out++ = ']';
        }
        *out++ = ']';
        stop[ring] = out - begin;
    }
    return 0;
}
