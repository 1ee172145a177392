/* Label images to spans, the stretches of one label along rows, and spans to sizes. All sums are of whole numbers. */
#include "kernels.h"

/* Find the spans of labels 1..count in raster order, no more than `room`; gives how many there are. */
EXPORT int64_t ihc_find_spans(int64_t height, int64_t width, const int32_t *labels, int32_t count, int64_t room,
                              int32_t *label, int32_t *row, int32_t *start, int32_t *stop) {
    int64_t spans = 0;
    for (int64_t y = 0; y < height; y++, labels += width)
        for (int64_t x = 0; x < width;) {
            int32_t here = labels[x];
            int64_t end = x + 1;
            while (end < width && labels[end] == here) end++;
            if (here > 0 && here <= count) {
                if (spans < room) {
                    label[spans] = here;
                    row[spans] = (int32_t)y;
                    start[spans] = (int32_t)x;
                    stop[spans] = (int32_t)end;
                }
                spans++;
            }
            x = end;
        }
    return spans;
}

/* Sort spans by label; number: how many each has. */
EXPORT int64_t ihc_sort_spans(int64_t n, const int32_t *label, const int32_t *row, const int32_t *start,
                              const int32_t *stop, int64_t count, int64_t *number, int64_t *sorted_row,
                              int64_t *sorted_start, int64_t *sorted_stop) {
    int64_t *next = calloc((size_t)count + 1, sizeof *next);
    if (!next) return NO_MEMORY;
    memset(number, 0, (size_t)count * sizeof *number);
    for (int64_t k = 0; k < n; k++) number[label[k] - 1]++;
    for (int64_t k = 0; k < count; k++) next[k + 1] = next[k] + number[k];
    for (int64_t k = 0; k < n; k++) {
        int64_t at = next[label[k] - 1]++;
        sorted_row[at] = row[k];
        sorted_start[at] = start[k];
        sorted_stop[at] = stop[k];
    }
    free(next);
    return 0;
}

typedef struct {
    int64_t row, way;
} Point;

/* Keep the points of one side of a shape, one a row, that bulge to smaller values, and add up what they say of twice
   the area of the convex hull. */
static int64_t bulge(Point *chain, int64_t points) {
    int64_t kept = 0, twice = 0;
    for (int64_t k = 0; k < points; k++) {
        while (kept > 1 && (chain[kept - 1].way - chain[kept - 2].way) * (chain[k].row - chain[kept - 1].row) >=
                               (chain[k].way - chain[kept - 1].way) * (chain[kept - 1].row - chain[kept - 2].row))
            kept--;
        chain[kept++] = chain[k];
    }
    for (int64_t k = 1; k < kept; k++) {
        int64_t down = chain[k].row - chain[k - 1].row, across = chain[k].way - chain[k - 1].way;
        int64_t length = across < 0 ? -across : across;
        twice += (down > length ? down : length) - (chain[k].way + chain[k - 1].way) * down;
    }
    return twice - chain[0].way - chain[kept - 1].way;
}

static int64_t squares_below(int64_t n) {
    return (n - 1) * n * (2 * n - 1) / 6;
}

/* Sum up the spans of each label: (count, 11) as pixels; sums of x, y, x * x, y * y, x * y; first row and column, row and
   column after the last; twice the area of the convex hull of its outline. Zeros for a label without pixels. */
EXPORT int64_t ihc_sum_spans(int64_t count, const int64_t *number, const int64_t *row, const int64_t *start,
                             const int64_t *stop, int64_t *out) {
    int64_t most = 1;
    for (int64_t k = 0; k < count; k++)
        if (number[k] > most) most = number[k];
    Point *left = malloc((size_t)most * 2 * sizeof *left), *right = left + most;
    if (!left) return NO_MEMORY;
    for (int64_t k = 0, s = 0; k < count; k++, out += 11) {
        memset(out, 0, 11 * sizeof *out);
        if (!number[k]) continue;
        int64_t points = 0;
        out[6] = row[s];
        out[7] = start[s];
        for (int64_t end = s + number[k]; s < end; s++) {
            int64_t y = row[s], a = start[s], b = stop[s], n = b - a, x = (a + b - 1) * n / 2;
            out[0] += n;
            out[1] += x;
            out[2] += y * n;
            out[3] += squares_below(b) - squares_below(a);
            out[4] += y * y * n;
            out[5] += y * x;
            if (a < out[7]) out[7] = a;
            if (b > out[9]) out[9] = b;
            out[8] = y + 1;
            if (points && left[points - 1].row == y)
                right[points - 1].way = 1 - b;
            else {
                left[points] = (Point){y, a};
                right[points++] = (Point){y, 1 - b};
            }
        }
        out[10] = 1 + bulge(left, points) + bulge(right, points);
    }
    free(left);
    return 0;
}
