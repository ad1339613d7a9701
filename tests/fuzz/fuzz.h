/* What the fuzz targets share: memory of exactly the size asked for, so that ASan sees one byte too many; a check. */

#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mcpsess.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #cond))

static inline void fuzz_fail(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

static inline void *fuzz_copy(const void *data, size_t size) {
    void *copy = malloc(size != 0 ? size : 1);
    MUST(copy != NULL);
    if (size != 0) memcpy(copy, data, size);
    return copy;
}

static inline mcpsess_buf fuzz_buf(size_t cap) {
    mcpsess_buf b;
    void *mem = malloc(cap != 0 ? cap : 1);
    MUST(mem != NULL);
    mcpsess_buf_init(&b, mem, cap);
    return b;
}

/* The input as a source of numbers and slices; when it is used up they are 0 and empty. */
typedef struct fuzz_source {
    const uint8_t *data;
    size_t size;
} fuzz_source;

static inline unsigned fuzz_byte(fuzz_source *s) {
    if (s->size == 0) return 0;
    s->size--;
    return *s->data++;
}

static inline mcpsess_str fuzz_slice(fuzz_source *s, size_t max) {
    size_t len = fuzz_byte(s) % (max + 1);
    mcpsess_str slice;
    if (len > s->size) len = s->size;
    slice = mcpsess_str_of(s->data, len);
    s->data += len;
    s->size -= len;
    return slice;
}

#endif
