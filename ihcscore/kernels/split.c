/* A height map to hills, and labels to sizes. */
#include "kernels.h"

enum { STEPS = 32, ROUNDS = 4, DOUBLINGS = 5, HEIGHTS = 256 };
enum { ABOVE, LEFT, RIGHT, BELOW, ITSELF, SOLVED = 8, OUTSIDE = 255 };

/* Between two pixels of two hills: the lower of their heights, and their stain added up. */
typedef struct {
    int32_t one, other, saddle, stain;
} Border;

typedef struct {
    uint8_t height, stain;
} Summit;

typedef struct {
    Border *of;
    int64_t count, room;
} Borders;

/* A row of heights, 0 outside of the mask and of the image, with a pixel more on either side. */
static void pad_row(int64_t y, int64_t rows, int64_t columns, const uint8_t *height, const uint8_t *mask, uint8_t *out) {
    memset(out, 0, (size_t)columns + 2);
    if (y >= rows) return;
    height += y * columns;
    mask += y * columns;
    for (int64_t x = 0; x < columns; x++) out[x + 1] = mask[x] ? (height[x] ? height[x] : 1) : 0;
}

/* Where the highest of each pixel of a row and its neighbours lies; among equals the pixel itself, else the greatest
   number. The rows are padded. */
static void ways_up(int64_t columns, const uint8_t *before, const uint8_t *here, const uint8_t *after, uint8_t *way) {
    for (int64_t x = 0; x < columns; x++) {
        uint16_t best = (uint16_t)(here[x + 1] << 3 | ITSELF);
        uint16_t above = (uint16_t)(before[x + 1] << 3 | ABOVE), left = (uint16_t)(here[x] << 3 | LEFT);
        uint16_t right = (uint16_t)(here[x + 2] << 3 | RIGHT), below = (uint16_t)(after[x + 1] << 3 | BELOW);
        best = above > best ? above : best;
        best = left > best ? left : best;
        best = right > best ? right : best;
        best = below > best ? below : best;
        way[x] = here[x + 1] ? best & 7 : OUTSIDE;
    }
}

/* Climb from each pixel to its summit, which has a number: a pixel more than STEPS steps from it belongs to no hill.
   `way` is overwritten. */
static void climb(int64_t n, const int64_t *step, uint8_t *way, int32_t *hill) {
    int64_t path[HEIGHTS];
    for (int64_t i = 0; i < n; i++) {
        if (way[i] >= SOLVED) continue;
        int length = 0;
        int64_t at = i;
        while (way[at] < ITSELF) { /* every step goes up, so that there are fewer than there are heights */
            path[length++] = at;
            at += step[way[at]];
        }
        int steps = way[at] == ITSELF ? 0 : way[at] - SOLVED;
        int32_t number = hill[at];
        way[at] = (uint8_t)(SOLVED + steps);
        while (length) {
            at = path[--length];
            if (steps <= STEPS) steps++;
            if (steps > STEPS) number = 0;
            way[at] = (uint8_t)(SOLVED + steps);
            hill[at] = number;
        }
    }
}

static int add_border(Borders *borders, Border border) {
    if (borders->count == borders->room) {
        int64_t room = borders->room ? 2 * borders->room : 1 << 12;
        Border *more = realloc(borders->of, (size_t)room * sizeof *more);
        if (!more) return NO_MEMORY;
        borders->of = more;
        borders->room = room;
    }
    borders->of[borders->count++] = border;
    return 0;
}

/* Add the borders between the pixels of a row and those `step` pixels on; differs: room for a row, and 8 more. */
static int add_borders(int64_t columns, int64_t step, const uint8_t *height, const uint8_t *stain, const int32_t *hill,
                       uint8_t *differs, Borders *borders) {
    for (int64_t x = 0; x < columns; x++) {
        int32_t one = hill[x], other = hill[x + step];
        differs[x] = (one != other) & (one != 0) & (other != 0);
    }
    memset(differs + columns, 0, 8);
    for (int64_t begin = 0; begin < columns; begin += 8) {
        uint64_t some;
        memcpy(&some, differs + begin, sizeof some);
        for (int64_t x = begin; some && x < begin + 8; x++) { /* rarely */
            if (!differs[x]) continue;
            int here = height[x] ? height[x] : 1, there = height[x + step] ? height[x + step] : 1;
            int saddle = here < there ? here : there, both = stain[x] + stain[x + step];
            if (add_border(borders, (Border){hill[x], hill[x + step], saddle, both})) return NO_MEMORY;
        }
    }
    return 0;
}

/* All borders between hills, those side by side first. */
static int borders_of(int64_t rows, int64_t columns, const uint8_t *height, const uint8_t *stain, const int32_t *hill,
                      Borders *borders) {
    Borders down = {NULL, 0, 0};
    uint8_t *differs = malloc((size_t)columns + 8);
    int failed = differs ? 0 : NO_MEMORY;
    for (int64_t y = 0; y < rows && !failed; y++) {
        int64_t i = y * columns;
        failed = add_borders(columns - 1, 1, height + i, stain + i, hill + i, differs, borders);
        if (y < rows - 1 && !failed)
            failed = add_borders(columns, columns, height + i, stain + i, hill + i, differs, &down);
    }
    for (int64_t k = 0; k < down.count && !failed; k++) failed = add_border(borders, down.of[k]);
    free(differs);
    free(down.of);
    return failed;
}

/* Each round, a hill joins the higher one behind its highest saddle, if that is no deeper than `depth` below the lower
   summit; `number` becomes the highest hill it is one with. `border` is overwritten. */
static void merge(int64_t borders, Border *border, int32_t hills, const Summit *summit, int depth, int32_t *number,
                  int32_t *parent, int32_t *spare, int32_t *best) {
    for (int32_t k = 0; k < hills; k++) number[k] = k;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t kept = 0;
        for (int64_t b = 0; b < borders; b++) {
            Border at = border[b];
            int one = summit[at.one].height, other = summit[at.other].height, lower = one < other ? one : other;
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
            int one = summit[at.one].height, other = summit[at.other].height;
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

static int by_pair(const void *a, const void *b) {
    const Border *one = a, *other = b;
    if (one->one != other->one) return one->one < other->one ? -1 : 1;
    if (one->other != other->other) return one->other < other->other ? -1 : 1;
    if (one->saddle != other->saddle) return one->saddle < other->saddle ? -1 : 1;
    return (one->stain > other->stain) - (one->stain < other->stain);
}

/* Sort the borders by the pairs of hills they part now, by `number`, and drop those inside of a hill and those of pairs
   whose border is on the mean denser stained by `denser` or more than both summits are. */
static void drop_stained(Borders *borders, const int32_t *number, const Summit *summit, int denser) {
    int64_t kept = 0;
    Border *border = borders->of;
    for (int64_t b = 0; b < borders->count; b++) {
        int32_t one = number[border[b].one], other = number[border[b].other];
        if (one == other) continue;
        border[kept++] = (Border){one < other ? one : other, one < other ? other : one, border[b].saddle, border[b].stain};
    }
    borders->count = kept;
    if (!kept) return;
    qsort(border, (size_t)kept, sizeof *border, by_pair);
    kept = 0;
    for (int64_t begin = 0, end; begin < borders->count; begin = end) {
        Border first = border[begin];
        int64_t stain = 0;
        for (end = begin; end < borders->count; end++) {
            if (border[end].one != first.one || border[end].other != first.other) break;
            stain += border[end].stain;
        }
        int one = summit[first.one].stain, other = summit[first.other].stain;
        if (stain >= 2 * (end - begin) * ((one > other ? one : other) + denser)) continue;
        memmove(border + kept, border + begin, (size_t)(end - begin) * sizeof *border);
        kept += end - begin;
    }
    borders->count = kept;
}

/* Number the summits in raster order and give every pixel of the mask its hill; gives one more than the last number.
   padded: three padded rows; summit: an array for the caller to free. */
static int32_t hills_of(int64_t rows, int64_t columns, const uint8_t *height, const uint8_t *mask, const uint8_t *stain,
                        uint8_t *padded, uint8_t *way, int32_t *hill, Summit **summit) {
    int64_t stride = columns + 2, room = 1 << 12, step[4] = {-columns, -1, 1, columns};
    int32_t hills = 1;
    if (!(*summit = calloc((size_t)room, sizeof **summit))) return NO_MEMORY;
    memset(padded + 2 * stride, 0, (size_t)stride);
    pad_row(0, rows, columns, height, mask, padded);
    for (int64_t y = 0; y < rows; y++) {
        const uint8_t *before = padded + (y + 2) % 3 * stride, *here = padded + y % 3 * stride;
        uint8_t *after = padded + (y + 1) % 3 * stride, *row = way + y * columns;
        pad_row(y + 1, rows, columns, height, mask, after);
        ways_up(columns, before, here, after, row);
        memset(hill + y * columns, 0, (size_t)columns * sizeof *hill);
        for (uint8_t *top = row; (top = memchr(top, ITSELF, (size_t)(row + columns - top))); top++) {
            if (hills == room) {
                Summit *more = realloc(*summit, (size_t)(room *= 2) * sizeof *more);
                if (!more) return NO_MEMORY;
                *summit = more;
            }
            (*summit)[hills] = (Summit){here[top - row + 1], stain[top - way]};
            hill[top - way] = hills++;
        }
    }
    climb(rows * columns, step, way, hill);
    return hills;
}

/* Label the hills where the mask is; gives one more than the highest number. If `stained_depth` is less than `depth`,
   hills whose border is denser stained than both summits by `denser` are one only below the former. padded: (3, columns
   + 2), way: (rows, columns), both overwritten. */
EXPORT int64_t ihc_hills(int64_t rows, int64_t columns, const uint8_t *height, const uint8_t *mask, int32_t depth,
                         const uint8_t *stain, int32_t stained_depth, int32_t denser, uint8_t *padded, uint8_t *way,
                         int32_t *hill) {
    Summit *summit = NULL;
    Borders borders = {NULL, 0, 0};
    Border *copy = NULL;
    int32_t *tables = NULL, hills = hills_of(rows, columns, height, mask, stain, padded, way, hill, &summit);
    int failed = hills < 0 ? NO_MEMORY : borders_of(rows, columns, height, stain, hill, &borders);
    if (!failed && !(tables = malloc((size_t)hills * 5 * sizeof *tables))) failed = NO_MEMORY;
    if (!failed && !(copy = malloc(((size_t)borders.count + 1) * sizeof *copy))) failed = NO_MEMORY;
    if (!failed) {
        int32_t *first = tables, *then = first + hills, *parent = then + hills, *spare = parent + hills;
        int32_t *best = spare + hills;
        for (int32_t k = 0; k < hills; k++) first[k] = k;
        if (stained_depth < depth) {
            if (borders.count) memcpy(copy, borders.of, (size_t)borders.count * sizeof *copy);
            merge(borders.count, copy, hills, summit, stained_depth, first, parent, spare, best);
            drop_stained(&borders, first, summit, denser);
        }
        merge(borders.count, borders.of, hills, summit, depth, then, parent, spare, best);
        for (int64_t i = 0; i < rows * columns; i++) hill[i] = then[first[hill[i]]];
    }
    free(summit);
    free(borders.of);
    free(copy);
    free(tables);
    return failed ? NO_MEMORY : hills;
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
