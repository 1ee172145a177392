/* The outline of a label: through the middles of the pixel edges between it and what is not it. */
#include "kernels.h"

typedef struct {
    int64_t vertices, straight, diagonal, upright, area8; /* steps; edges along a column; 8 times the area */
} Ring;

enum { EAST, SOUTH, WEST, NORTH };
static const int DX[4] = {1, 0, -1, 0}, DY[4] = {0, 1, 0, -1};

/* Walk around from the left edge of the first pixel in raster order, with the label at the left hand: counter-clockwise
   on screen. (x, y) is a corner of pixels, `pixel` the one right below it in a mask with a margin; the edge walked leads
   out of the corner in direction `way`. A vertex stands in the middle of an edge where the line from middle to middle
   bends. joined: whether pixels that meet at a corner only are connected. */
static Ring walk(const uint8_t *pixel, int64_t stride, int64_t first_x, int64_t first_y, int joined, double *xy) {
    const int64_t step[4] = {1, stride, -1, -stride};
    const int64_t right_hand[4] = {0, -1, -1 - stride, -stride}, left_hand[4] = {-stride, 0, -1, -1 - stride};
    Ring ring = {0, 0, 0, 0, 0};
    if (!pixel[0] || pixel[-1]) return ring; /* no edge of it: no way back */
    int64_t x = first_x, y = first_y, old_x = 0, old_y = 0, start_x = 0, start_y = 0;
    int way = SOUTH, before = 2 * WEST - 1; /* nothing lies above or before that pixel: its upper edge led here */
    do {
        pixel += step[way];
        int at_right = pixel[right_hand[way]], at_left = pixel[left_hand[way]];
        int turn = at_right && (at_left || joined) ? 1 : at_left ? 0 : -1;
        int line = (2 * way + turn) & 7; /* eighths of a turn */
        if (line != before) {
            int64_t middle_x = 2 * x + DX[way], middle_y = 2 * y + DY[way]; /* in halves of a pixel */
            if (!ring.vertices) {
                start_x = middle_x;
                start_y = middle_y;
            } else
                ring.area8 += old_x * middle_y - middle_x * old_y;
            old_x = middle_x;
            old_y = middle_y;
            *xy++ = 0.5 * (double)middle_x;
            *xy++ = 0.5 * (double)middle_y;
            ring.vertices++;
        }
        before = line;
        ring.straight += turn == 0;
        ring.diagonal += turn != 0;
        ring.upright += way == SOUTH || way == NORTH;
        x += DX[way];
        y += DY[way];
        way = (way + turn) & 3;
    } while (x != first_x || y != first_y || way != SOUTH);
    ring.area8 += old_x * start_y - start_x * old_y;
    *xy++ = 0.5 * (double)start_x;
    *xy = 0.5 * (double)start_y;
    return ring;
}

typedef struct {
    uint8_t *mask;
    size_t room;
    int64_t stride, first; /* first: where the first pixel of the first span lies */
} Drawn;

/* Draw spans into a mask with a margin: a label's own pixels lie side by side there. */
static int draw(int64_t spans, const int64_t *row, const int64_t *start, const int64_t *stop, Drawn *drawn) {
    int64_t left = start[0], right = stop[0];
    for (int64_t k = 1; k < spans; k++) {
        if (start[k] < left) left = start[k];
        if (stop[k] > right) right = stop[k];
    }
    drawn->stride = right - left + 2;
    size_t size = (size_t)((row[spans - 1] - row[0] + 3) * drawn->stride);
    if (size > drawn->room) {
        free(drawn->mask);
        drawn->room = 2 * size;
        if (!(drawn->mask = malloc(drawn->room))) return NO_MEMORY;
    }
    memset(drawn->mask, 0, size);
    for (int64_t k = 0; k < spans; k++) {
        int64_t at = (row[k] - row[0] + 1) * drawn->stride + start[k] - left + 1;
        memset(drawn->mask + at, 1, (size_t)(stop[k] - start[k]));
        if (!k) drawn->first = at;
    }
    return 0;
}

/* Write the ring around the piece of each label that has the first pixel of its first span, one after the other, the
   first vertex of each again at its end; gives their number. If only whole ones are wanted, that of a label with holes
   or other pieces is left out: it has not both ends of all spans of the label.
   size: vertices of each label's ring, 0 if left out; measures: (count, 3) as straight and diagonal steps, and 8 times
   the area. xy: room for 6 vertices for each span, and one for each label. */
EXPORT int64_t ihc_trace(int64_t count, const int64_t *spans, const int64_t *row, const int64_t *start,
                         const int64_t *stop, int32_t joined, int32_t whole, double *xy, int64_t *size,
                         int64_t *measures) {
    Drawn drawn = {NULL, 0, 0, 0};
    int64_t written = 0;
    for (int64_t k = 0, first = 0; k < count; first += spans[k++]) {
        size[k] = 0;
        if (!spans[k]) continue;
        if (draw(spans[k], row + first, start + first, stop + first, &drawn)) return NO_MEMORY;
        Ring ring = walk(drawn.mask + drawn.first, drawn.stride, start[first], row[first], joined, xy + 2 * written);
        if (whole && ring.upright != 2 * spans[k]) continue;
        if (!ring.vertices) continue;
        size[k] = ring.vertices + 1;
        written += size[k];
        int64_t values[3] = {ring.straight, ring.diagonal, ring.area8};
        memcpy(measures + 3 * k, values, sizeof values);
    }
    free(drawn.mask);
    return written;
}

/* Write rings as well-known binary polygons, moved and then scaled; stop: where each one's bytes end. */
EXPORT int64_t ihc_write_wkb(int64_t count, const int64_t *size, const double *xy, double right, double down,
                             double scale, uint8_t *out, int64_t *stop) {
    const uint8_t *begin = out;
    for (int64_t k = 0; k < count; k++) {
        if (size[k]) {
            const uint32_t head[3] = {3, 1, (uint32_t)size[k]}; /* polygon, rings, points */
            *out++ = 1;                                         /* little-endian */
            memcpy(out, head, sizeof head);
            out += sizeof head;
        }
        for (int64_t i = 0; i < size[k]; i++, xy += 2) {
            const double place[2] = {(xy[0] + right) * scale, (xy[1] + down) * scale};
            memcpy(out, place, sizeof place);
            out += sizeof place;
        }
        stop[k] = out - begin;
    }
    return 0;
}
