/* A resumable event stream in static memory: a server stores what it sends, the client loses its connection after the
   first event, comes back with the last id it has seen, and gets exactly what it missed.

     cc -std=c99 -I.. stream.c -o stream
*/

#define MCPSESS_IMPLEMENTATION
#include "mcpsess.h"
#include <stdio.h>
#include <string.h>

MCPSESS_MEMSTORE_LOG_STORAGE(memory, 1, 0, 64, 2, 1024); /* no sessions to speak of; 2 logs, each a ring of 1 KiB */

/* For the token that keeps a second writer out; on a real machine take real random bytes. */
static int not_random(void *user, void *dst, size_t len) {
    (void)user;
    memset(dst, 7, len);
    return 0;
}

/* One frame, as it goes to the client. */
static void show(const mcpsess_event *e) {
    char frame[256];
    mcpsess_buf out;
    mcpsess_buf_init(&out, frame, sizeof frame);
    if (mcpsess_sse_put(e, &out) == MCPSESS_OK) printf("%.*s", (int)out.len, out.ptr);
}

/* Stores an event first; what is sent has an id to come back with. The store is RAM: nothing here is ever pending. */
static mcpsess_str send(mcpsess_stream_writer *w, const char *data, char id[MCPSESS_EVENTID_MAX]) {
    mcpsess_stream_op op;
    mcpsess_event e;
    mcpsess_buf text;
    memset(&e, 0, sizeof e);
    e.data = mcpsess_str_z(data);
    mcpsess_op_init(&op.op, 0);
    mcpsess_buf_init(&text, id, MCPSESS_EVENTID_MAX);
    if (mcpsess_stream_append(w, &op, &e, 1000) == MCPSESS_OK) mcpsess_stream_id(&op, &text);
    return e.id = mcpsess_buf_str(&text);
}

int main(void) {
    const mcpsess_principal nobody = {{NULL, 0}, {NULL, 0}};
    const mcpsess_str session = MCPSESS_STR("alice");
    char id[MCPSESS_EVENTID_MAX], seen[MCPSESS_EVENTID_MAX], page[512];
    mcpsess_memstore store;
    mcpsess_streams streams;
    mcpsess_stream_writer w;
    mcpsess_stream_reader r;
    mcpsess_stream_op op;
    mcpsess_op read;
    mcpsess_event e;
    mcpsess_str last;
    mcpsess_memstore_desc md = mcpsess_memstore_desc_default();
    mcpsess_stream_desc sd = mcpsess_stream_desc_default();
    md.records = 1, md.value_max = 64, md.logs = 2, md.log_bytes = 1024;
    if (mcpsess_memstore_init(&store, &md, memory.bytes, sizeof memory.bytes) != MCPSESS_OK) return 1;
    sd.store = mcpsess_memstore_store(&store), sd.random = not_random;
    if (mcpsess_stream_init(&streams, &sd) != MCPSESS_OK) return 1;

    mcpsess_op_init(&op.op, 0), mcpsess_op_init(&read, 0);
    memset(&w, 0, sizeof w);
    if (mcpsess_stream_open(&streams, &w, &op, session, &nobody, MCPSESS_STR("call-1"), true, 1000)) return 1;
    last = send(&w, "{\"step\":1}", seen); /* the client has this one, and then its connection breaks */
    send(&w, "{\"step\":2}", id);
    send(&w, "{\"step\":3}", id);
    mcpsess_stream_complete(&w, &op, 1000);

    if (mcpsess_stream_resume(&streams, &r, &read, last, session, &nobody, page, sizeof page, 2000)) return 1;
    while (mcpsess_stream_next(&r, &read, &e, 2000) == MCPSESS_OK) show(&e);
    printf("%s\n", mcpsess_code_name(mcpsess_poll(&read, 2000)));
    mcpsess_stream_close(&r);
}

/* expected output:
data: {"step":2}
id: YWxpY2U=:Y2FsbC0x:1:2

data: {"step":3}
id: YWxpY2U=:Y2FsbC0x:1:3

END
*/
