#include "stream_rig.h"

#define POLLS_MAX 50u

stream_rig rig;
mcpsess_event rig_event;
mcpsess_stream_op rig_op;
char rig_page[MCPSESS_STREAM_READER_MIN + 40];
static char id_text[MCPSESS_EVENTID_MAX];
static mcpsess_buf id_buf;
static mcpsess_op read_op;
#if !PORT_SMALL
static char disk[16384];
#else
static char disk[2700];
#endif
static mcpsess_memstore disk_head;

/* -- the store in between -- */

static void answer(unsigned n) {
    mcpsess_log_request *r = rig.slots[n].request;
    *r = rig.slots[n].answer;
    if (r->request.out != NULL) r->request.out->len = rig.slots[n].out_len;
    rig.slots[n].request = NULL;
}

static int submit(void *self, mcpsess_request *r, uint64_t now_ms) {
    mcpsess_store inner = mcpsess_memstore_store(&rig.memory);
    mcpsess_log_request *q = (mcpsess_log_request *)(void *)r, copy = *q;
    unsigned n = 0;
    (void)self;
    rig.submits++;
    rig.last_kind = r->kind;
    if (r->kind == MCPSESS_LOG_RANGE && r->ttl_ms != 0) rig.refreshes++;
    if (rig.fail == MCPSESS_OK || rig.fail_after) (void)inner.cls->submit(inner.self, &copy.request, now_ms);
    if (rig.fail != MCPSESS_OK) {
        if (r->out != NULL) r->out->len = 0;
        copy = *q;
        copy.request.rc = rig.fail;
    }
    while (n < STREAM_RIG_SLOTS && rig.slots[n].request != NULL) n++;
    if (rig.delay == 0 || n == STREAM_RIG_SLOTS) {
        *q = copy;
        return r->rc;
    }
    rig.slots[n].request = q;
    rig.slots[n].answer = copy;
    rig.slots[n].out_len = r->out != NULL ? r->out->len : 0;
    rig.slots[n].age = 0;
    if (r->out != NULL) r->out->len = 0;
    return r->rc = MCPSESS_PENDING;
}

static void poll(void *self, uint64_t now_ms) {
    unsigned n;
    (void)self;
    (void)now_ms;
    rig.polls++;
    for (n = 0; n < STREAM_RIG_SLOTS; n++) {
        if (rig.slots[n].request != NULL && ++rig.slots[n].age >= rig.delay) answer(n);
    }
}

static void cancel(void *self, mcpsess_request *r) {
    unsigned n;
    (void)self;
    rig.cancels++;
    for (n = 0; n < STREAM_RIG_SLOTS; n++) {
        if (rig.slots[n].request == (mcpsess_log_request *)(void *)r) rig.slots[n].request = NULL;
    }
    r->rc = MCPSESS_E_CANCELED;
}

static uint64_t next_due(void *self, uint64_t now_ms) {
    (void)self;
    (void)now_ms;
    return rig.now_ms + 1000000u;
}

static unsigned want(void *self) {
    (void)self;
    return MCPSESS_WANT_READ;
}

static void shut(void *self) {
    (void)self;
}

static void told(void *user, mcpsess_str key) {
    (void)user;
    if (!rig.silent && rig.listener != NULL) rig.listener->changed(rig.listener->user, key);
}

static int listen(void *self, int of, const mcpsess_listener *listener) {
    (void)self;
    CHECK_EQ(of, MCPSESS_OF_LOGS);
    rig.listener = listener;
    return MCPSESS_OK;
}

static int hear(void *self, uint64_t now_ms) {
    (void)self;
    (void)now_ms;
    return rig.silent ? MCPSESS_STALE : rig.hear;
}

static const mcpsess_store_class slow = {submit, poll, cancel, next_due, want, shut, listen, hear};

/* -- beginning -- */

static int count_up(void *user, void *dst, size_t len) {
    static uint8_t n;
    (void)user;
    memset(dst, 0, len);
    ((char *)dst)[0] = (char)++n;
    return 0;
}

void stream_rig_restart(void) {
    rig.desc.store.cls = &slow;
    rig.desc.store.self = &rig;
    rig.desc.random = count_up;
    CHECK_EQ(mcpsess_stream_init(&rig.streams, &rig.desc), MCPSESS_OK);
}

void stream_rig_start(void) {
    static const mcpsess_listener listener = {told, NULL};
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    mcpsess_store inner;
    memset(&rig, 0, sizeof rig);
    rig.now_ms = 1000;
    rig.who = principal("issuer", "alice");
    d.records = 1;
    d.value_max = 8;
    d.logs = STREAM_RIG_LOGS;
    d.log_bytes = STREAM_RIG_RING;
    d.fence_base = 100;
    rig.storage.len = mcpsess_memstore_bytes(&d);
    rig.storage.bytes = (char *)arena(rig.storage.len);
    CHECK_EQ(mcpsess_memstore_init(&rig.memory, &d, rig.storage.bytes, rig.storage.len), MCPSESS_OK);
    inner = mcpsess_memstore_store(&rig.memory);
    CHECK_EQ(inner.cls->listen(inner.self, MCPSESS_OF_LOGS, &listener), MCPSESS_OK);
    mcpsess_op_init(&rig_op.op, 0);
    mcpsess_op_init(&read_op, 0);
    stream_rig_restart();
}

void stream_rig_save(void) {
    CHECK(rig.storage.len <= sizeof disk);
    memcpy(disk, rig.storage.bytes, rig.storage.len);
    disk_head = rig.memory;
}

/* Fences go on, as a server's clock does. */
void stream_rig_lose(void) {
    uint64_t fence = rig.memory.i.fence;
    memcpy(rig.storage.bytes, disk, rig.storage.len);
    rig.memory = disk_head;
    rig.memory.i.fence = fence;
}

/* -- operations -- */

static int finish(mcpsess_op *op, int rc) {
    unsigned n;
    for (n = 0; n < POLLS_MAX && rc == MCPSESS_PENDING; n++) rc = mcpsess_poll(op, rig.now_ms);
    return rc;
}

int rig_open(mcpsess_stream_writer *w, const char *stream, bool fresh) {
    return finish(&rig_op.op, mcpsess_stream_open(&rig.streams, w, &rig_op, MCPSESS_STR("s1"), &rig.who,
                                                  mcpsess_str_z(stream), fresh, rig.now_ms));
}

int rig_append(mcpsess_stream_writer *w, const char *data) {
    mcpsess_event e;
    int rc;
    memset(&e, 0, sizeof e);
    e.data = mcpsess_str_z(data);
    rc = finish(&rig_op.op, mcpsess_stream_append(w, &rig_op, &e, rig.now_ms));
    mcpsess_buf_init(&id_buf, id_text, sizeof id_text);
    (void)mcpsess_stream_id(&rig_op, &id_buf);
    return rc;
}

int rig_complete(mcpsess_stream_writer *w) {
    return finish(&rig_op.op, mcpsess_stream_complete(w, &rig_op, rig.now_ms));
}

int rig_resume(mcpsess_stream_reader *r, mcpsess_str last_event_id) {
    return finish(&read_op, mcpsess_stream_resume(&rig.streams, r, &read_op, last_event_id, MCPSESS_STR("s1"), &rig.who,
                                                  rig_page, sizeof rig_page, rig.now_ms));
}

int rig_next(mcpsess_stream_reader *r) {
    int rc = finish(&read_op, mcpsess_stream_next(r, &read_op, &rig_event, rig.now_ms));
    mcpsess_cancel(&read_op);
    return rc;
}

bool rig_reads(mcpsess_stream_reader *r, const char *data) {
    int rc = rig_next(r);
    CHECK_EQ(rc, MCPSESS_OK);
    return rc == MCPSESS_OK && mcpsess_str_eq(rig_event.data, mcpsess_str_z(data));
}

mcpsess_str rig_id(void) {
    return mcpsess_buf_str(&id_buf);
}
