/* A height map to hills, and labels to sizes. */
#include "kernels.h"

enum { STEPS = 32, ROUNDS = 4, DOUBLINGS = 5, HEIGHTS = 256 };
enum { ABOVE, LEFT, RIGHT, BELOW, ITSELF };

typedef struct {
    int32_t one, other, saddle;
} Border;

/* Where the highest of each pixel of a row and its neighbours lies; among equals the pixel itself, else the greatest
   number. `height` points at the row in a plane with a margin. */
static void ways_up(int64_t columns, int64_t stride, const uint8_t *height, uint8_t *way) {
    for (int64_t x = 0; x < columns; x++) {
        uint16_t best = (uint16_t)(height[x] << 3 | ITSELF);
        uint16_t above = (uint16_t)(height[x - stride] << 3 | ABOVE), left = (uint16_t)(height[x - 1] << 3 | LEFT);
        uint16_t right = (uint16_t)(height[x + 1] << 3 | RIGHT), below = (uint16_t)(height[x + stride] << 3 | BELOW);
        best = above > best ? above : best;
        best = left > best ? left : best;
        best = right > best ? right : best;
        best = below > best ? below : best;
        way[x] = best & 7;
    }
}

/* Climb from each pixel to its summit, which has a number: a pixel more than STEPS steps from it belongs to no hill.
   `way` is overwritten. */
static void climb(int64_t n, const int64_t *step, const uint8_t *mask, uint8_t *way, int32_t *hill) {
    const uint8_t solved = 8; /* and above, the number of steps */
    int64_t path[HEIGHTS];
    for (int64_t i = 0; i < n; i++) {
        if (!mask[i] || way[i] >= solved) continue;
        int length = 0;
        int64_t at = i;
        while (way[at] < ITSELF) { /* every step goes up, so that there are fewer than there are heights */
            path[length++] = at;
            at += step[way[at]];
        }
        int steps = way[at] == ITSELF ? 0 : way[at] - solved;
        int32_t number = hill[at];
        way[at] = (uint8_t)(solved + steps);
        while (length) {
            at = path[--length];
            if (steps <= STEPS) steps++;
            if (steps > STEPS) number = 0;
            way[at] = (uint8_t)(solved + steps);
            hill[at] = number;
        }
    }
}

/* All borders between hills, those side by side first; gives their number, and the array for the caller to free. */
static int64_t borders_of(int64_t rows, int64_t columns, const uint8_t *height, const int32_t *hill, Border **out) {
    int64_t count = 0, room = 1 << 12;
    Border *border = malloc((size_t)room * sizeof *border);
    *out = border;
    if (!border) return NO_MEMORY;
    for (int down = 0; down < 2; down++) {
        int64_t step = down ? columns : 1;
        for (int64_t y = 0; y < rows - down; y++)
            for (int64_t i = y * columns, end = i + columns - 1 + down; i < end; i++) {
                int32_t one = hill[i], other = hill[i + step];
                if (!((one != other) & (one != 0) & (other != 0))) continue; /* one branch, rarely taken */
                if (count == room) {
                    room *= 2;
                    border = realloc(*out, (size_t)room * sizeof *border);
                    if (!border) return NO_MEMORY;
                    *out = border;
                }
                int here = height[i] ? height[i] : 1, there = height[i + step] ? height[i + step] : 1;
                border[count++] = (Border){one, other, here < there ? here : there};
            }
    }
    return count;
}

/* Each round, a hill joins the higher one behind its highest saddle, if that is no deeper than `depth` below the lower
   summit; `number` becomes the highest hill it is one with. */
static void merge(int64_t borders, Border *border, int32_t hills, const uint8_t *summit, int depth, int32_t *number,
                  int32_t *parent, int32_t *spare, int32_t *best) {
    for (int32_t k = 0; k < hills; k++) number[k] = k;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t kept = 0;
        for (int64_t b = 0; b < borders; b++) {
            Border at = border[b];
            int lower = summit[at.one] < summit[at.other] ? summit[at.one] : summit[at.other];
            if (at.one != at.other && lower - at.saddle < depth) border[kept++] = at;
        }
        borders = kept;
        if (!borders) return;
        for (int32_t k = 0; k < hills; k++) {
            parent[k] = k;
            best[k] = -1;
        }
        for (int64_t b = 0; b < borders; b++) {
            Border at = border[b];
            int one = summit[at.one], other = summit[at.other];
            int first = one > other || (one == other && at.one < at.other);
            int32_t low = first ? at.other : at.one, high = first ? at.one : at.other;
            int32_t rank = at.saddle * HEIGHTS + (first ? one : other);
            if (rank > best[low]) { /* among equals the first */
                best[low] = rank;
                parent[low] = high;
            }
        }
        for (int k = 0; k < DOUBLINGS; k++) {
            for (int32_t h = 0; h < hills; h++) spare[h] = parent[parent[h]];
            memcpy(parent, spare, (size_t)hills * sizeof *parent);
        }
        for (int32_t k = 0; k < hills; k++) number[k] = parent[number[k]];
        for (int64_t b = 0; b < borders; b++) {
            border[b].one = parent[border[b].one];
            border[b].other = parent[border[b].other];
        }
    }
}

/* Number the summits in raster order and give every pixel of the mask its hill; gives one more than the last number. */
static int32_t hills_of(int64_t rows, int64_t columns, const uint8_t *height, const uint8_t *mask, uint8_t *padded,
                        uint8_t *way, int32_t *hill, uint8_t **summit) {
    int64_t n = rows * columns, stride = columns + 2, step[4] = {-columns, -1, 1, columns};
    int32_t hills = 1;
    memset(padded, 0, (size_t)((rows + 2) * stride));
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0, i = y * columns; x < columns; x++, i++)
            padded[(y + 1) * stride + x + 1] = mask[i] ? (height[i] ? height[i] : 1) : 0;
    for (int64_t y = 0; y < rows; y++) {
        ways_up(columns, stride, padded + (y + 1) * stride + 1, way + y * columns);
        for (int64_t i = y * columns; i < (y + 1) * columns; i++) hill[i] = mask[i] && way[i] == ITSELF ? hills++ : 0;
    }
    if (!(*summit = calloc((size_t)hills, 1))) return NO_MEMORY;
    for (int64_t i = 0; i < n; i++)
        if (hill[i]) (*summit)[hill[i]] = height[i] ? height[i] : 1;
    climb(n, step, mask, way, hill);
    return hills;
}

/* Label the hills where the mask is; gives one more than the highest number. padded: (rows + 2, columns + 2), way:
   (rows, columns), both overwritten. */
EXPORT int64_t ihc_hills(int64_t rows, int64_t columns, const uint8_t *height, const uint8_t *mask, int32_t depth,
                         uint8_t *padded, uint8_t *way, int32_t *hill) {
    uint8_t *summit = NULL;
    Border *border = NULL;
    int32_t *tables = NULL, hills;
    hills = hills_of(rows, columns, height, mask, padded, way, hill, &summit);
    int64_t borders = hills > 0 ? borders_of(rows, columns, height, hill, &border) : NO_MEMORY;
    if (borders >= 0 && !(tables = malloc((size_t)hills * 4 * sizeof *tables))) borders = NO_MEMORY;
    if (borders >= 0) {
        merge(borders, border, hills, summit, depth, tables, tables + hills, tables + 2 * hills, tables + 3 * hills);
        for (int64_t i = 0; i < rows * columns; i++) hill[i] = tables[hill[i]];
    }
    free(summit);
    free(border);
    free(tables);
    return borders < 0 ? NO_MEMORY : hills;
}

/* Pixels and box (first row and column, row and column after the last) of labels 0..count - 1, zeros for label 0 and
   without pixels; and, 8-connected, pieces less holes of each. */
EXPORT int64_t ihc_sizes(int64_t rows, int64_t columns, const int32_t *labels, int64_t count, int64_t *area,
                         int64_t *box, int64_t *euler) {
    typedef struct {
        int32_t label;
        int64_t start, stop;
    } Run;
    Run *above = malloc((size_t)(columns + 1) * sizeof *above), *here = malloc((size_t)(columns + 1) * sizeof *here);
    if (!above || !here) {
        free(above);
        free(here);
        return NO_MEMORY;
    }
    memset(area, 0, (size_t)count * sizeof *area);
    memset(box, 0, (size_t)count * 4 * sizeof *box);
    memset(euler, 0, (size_t)count * sizeof *euler);
    int64_t there = 0;
    for (int64_t y = 0; y < rows; y++, labels += columns) {
        int64_t found = 0, first = 0;
        for (int64_t x = 0; x < columns;) {
            int32_t label = labels[x];
            int64_t end = x + 1;
            while (end < columns && labels[end] == label) end++;
            if (label > 0 && label < count) {
                int64_t *b = box + 4 * label;
                if (!area[label]) {
                    b[0] = y;
                    b[1] = x;
                }
                if (x < b[1]) b[1] = x;
                b[2] = y + 1;
                if (end > b[3]) b[3] = end;
                area[label] += end - x;
                euler[label]++;
                while (first < there && above[first].stop < x) first++; /* those that end at x touch at a corner */
                for (int64_t k = first; k < there && above[k].start <= end; k++) euler[label] -= above[k].label == label;
                here[found++] = (Run){label, x, end};
            }
            x = end;
        }
        Run *swap = above;
        above = here;
        here = swap;
        there = found;
    }
    free(above);
    free(here);
    return 0;
}

/* The greatest value in each label from 0 to count - 1. */
EXPORT int64_t ihc_highest(int64_t n, const int32_t *labels, const uint8_t *values, int64_t count, uint8_t *out) {
    memset(out, 0, (size_t)count);
    for (int64_t i = 0; i < n; i++)
        if ((uint64_t)labels[i] < (uint64_t)count && values[i] > out[labels[i]]) out[labels[i]] = values[i];
    return 0;
}

/* Give labels from 0 to count - 1 new numbers, in place, and all others 0. */
EXPORT int64_t ihc_renumber(int64_t n, int32_t *labels, int64_t count, const int32_t *number) {
    for (int64_t i = 0; i < n; i++) labels[i] = (uint64_t)labels[i] < (uint64_t)count ? number[labels[i]] : 0;
    return 0;
}
