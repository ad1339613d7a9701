/* Event streams in RAM, and frames of server-sent events: work to count the instructions of.
     streams_ram append|replay|put|next NAME 0 OPS */
#include "bench.h"

#include "../mcpsess.h"

#include <stdlib.h>
#include <string.h>

enum { LOG_BYTES = 65536, KEPT = 256, PAGE = 4096 };

#define DATA                                                                                            \
    "{\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"call-17\",\"progress\":42," \
    "\"total\":100,\"message\":\"reading sensor 42 of 100\"},\"jsonrpc\":\"2.0\"}"

void memstore_append_round(mcpsess_stream_writer *w, const mcpsess_event *e, size_t count);
void memstore_replay_round(mcpsess_stream_reader *r, size_t count);
void sse_put_round(mcpsess_buf *out, const mcpsess_event *e, size_t count);
void sse_next_round(mcpsess_sse *s, mcpsess_str frame, size_t count);

static const mcpsess_principal nobody;

static int no_random(void *user, void *dst, size_t len) {
    (void)user;
    memset(dst, 1, len);
    return 0;
}

static void must(int rc) {
    if (rc != MCPSESS_OK) bench_stop(mcpsess_code_name(rc));
}

static void make(mcpsess_streams *s, mcpsess_stream_writer *w) {
    static mcpsess_memstore store;
    mcpsess_memstore_desc m = mcpsess_memstore_desc_default();
    mcpsess_stream_desc d = mcpsess_stream_desc_default();
    mcpsess_stream_op op;
    m.records = m.value_max = m.logs = 1;
    m.log_bytes = LOG_BYTES;
    must(mcpsess_memstore_init(&store, &m, bench_alloc(mcpsess_memstore_bytes(&m)), mcpsess_memstore_bytes(&m)));
    d.store = mcpsess_memstore_store(&store);
    d.random = no_random;
    must(mcpsess_stream_init(s, &d));
    memset(w, 0, sizeof *w);
    mcpsess_op_init(&op.op, 0);
    must(mcpsess_stream_open(s, w, &op, MCPSESS_STR("0123456789abcdefghijkl"), &nobody, MCPSESS_STR("1"), false, 1));
}

void memstore_append_round(mcpsess_stream_writer *w, const mcpsess_event *e, size_t count) {
    mcpsess_stream_op op;
    mcpsess_op_init(&op.op, 0);
    while (count-- > 0) must(mcpsess_stream_append(w, &op, e, 1));
}

void memstore_replay_round(mcpsess_stream_reader *r, size_t count) {
    mcpsess_event e;
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    while (count-- > 0) must(mcpsess_stream_next(r, &op, &e, 1));
}

void sse_put_round(mcpsess_buf *out, const mcpsess_event *e, size_t count) {
    for (; count > 0; count--) {
        out->len = 0;
        must(mcpsess_sse_put(e, out));
    }
}

void sse_next_round(mcpsess_sse *s, mcpsess_str frame, size_t count) {
    mcpsess_event e;
    for (; count > 0; count--) {
        mcpsess_str in = frame;
        must(mcpsess_sse_next(s, &in, &e));
    }
}

/* Events are read while there are any, then written anew. */
static void replay(mcpsess_streams *s, mcpsess_stream_writer *w, const mcpsess_event *e, size_t count) {
    static char page[PAGE];
    mcpsess_stream_reader r;
    mcpsess_op op;
    memset(&r, 0, sizeof r);
    for (size_t done = 0; done < count; done += KEPT) {
        const size_t n = count - done < KEPT ? count - done : KEPT;
        memstore_append_round(w, e, n);
        mcpsess_op_init(&op, 0);
        must(mcpsess_stream_read(s, &r, &op, MCPSESS_STR("0123456789abcdefghijkl"), &nobody, MCPSESS_STR("1"), w->epoch,
                                 w->sequence - n, page, sizeof page, 1));
        memstore_replay_round(&r, n);
        mcpsess_stream_close(&r);
    }
}

int main(int argc, char **argv) {
    static char room[2048], mem[2048];
    mcpsess_stream_writer w;
    mcpsess_streams s;
    mcpsess_event e;
    mcpsess_buf out;
    mcpsess_sse sse;
    size_t count;
    if (argc != 5) bench_stop("usage: streams_ram append|replay|put|next NAME 0 OPS");
    count = strtoul(argv[4], NULL, 10);
    memset(&e, 0, sizeof e);
    e.type = MCPSESS_STR("message");
    e.data = MCPSESS_STR(DATA);
    make(&s, &w);
    if (strcmp(argv[1], "append") == 0) memstore_append_round(&w, &e, count);
    if (strcmp(argv[1], "replay") == 0) replay(&s, &w, &e, count);
    e.id = MCPSESS_STR("MDEyMzQ1Njc4OWFiY2RlZmdoaWprbA==:MQ==:1775649600123456:42");
    mcpsess_buf_init(&out, room, sizeof room);
    sse_put_round(&out, &e, strcmp(argv[1], "put") == 0 ? count : 1);
    must(mcpsess_sse_init(&sse, mem, sizeof mem));
    if (strcmp(argv[1], "next") == 0) sse_next_round(&sse, mcpsess_buf_str(&out), count);
    return 0;
}
