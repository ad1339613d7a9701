#include "stream_rig.h"

#define POLLS_MAX 50u

stream_rig sr;
mcpsess_event stream_event;
mcpsess_stream_op stream_op;
char stream_page[MCPSESS_STREAM_READER_MIN + 40];
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
    mcpsess_log_request *r = sr.slots[n].request;
    *r = sr.slots[n].answer;
    if (r->request.out != NULL) r->request.out->len = sr.slots[n].out_len;
    sr.slots[n].request = NULL;
}

static int submit(void *self, mcpsess_request *r, uint64_t now_ms) {
    mcpsess_store inner = mcpsess_memstore_store(&sr.memory);
    mcpsess_log_request *q = (mcpsess_log_request *)(void *)r, copy = *q;
    unsigned n = 0;
    (void)self;
    sr.submits++;
    sr.last_kind = r->kind;
    sr.deadline_ms = r->deadline_ms;
    if (r->kind == MCPSESS_LOG_RANGE && r->ttl_ms != 0) sr.refreshes++;
    if (sr.fail == MCPSESS_OK || sr.fail_after) (void)inner.cls->submit(inner.self, &copy.request, now_ms);
    if (sr.fail != MCPSESS_OK) {
        if (r->out != NULL) r->out->len = 0;
        copy = *q;
        copy.request.rc = sr.fail;
        if (sr.keep_last) copy.log.last = q->log.sequence;
    }
    while (n < STREAM_RIG_SLOTS && sr.slots[n].request != NULL) n++;
    if (sr.delay == 0 || n == STREAM_RIG_SLOTS) {
        *q = copy;
        return r->rc;
    }
    sr.slots[n].request = q;
    sr.slots[n].answer = copy;
    sr.slots[n].out_len = r->out != NULL ? r->out->len : 0;
    sr.slots[n].age = 0;
    if (r->out != NULL) r->out->len = 0;
    return r->rc = MCPSESS_PENDING;
}

static void poll(void *self, uint64_t now_ms) {
    unsigned n;
    (void)self;
    (void)now_ms;
    sr.polls++;
    for (n = 0; n < STREAM_RIG_SLOTS; n++) {
        if (sr.slots[n].request != NULL && ++sr.slots[n].age >= sr.delay) answer(n);
    }
}

static void cancel(void *self, mcpsess_request *r) {
    unsigned n;
    (void)self;
    sr.cancels++;
    for (n = 0; n < STREAM_RIG_SLOTS; n++) {
        if (sr.slots[n].request == (mcpsess_log_request *)(void *)r) sr.slots[n].request = NULL;
    }
    r->rc = MCPSESS_E_CANCELED;
}

static uint64_t next_due(void *self, uint64_t now_ms) {
    (void)self;
    return sr.due_ms != 0 ? sr.due_ms : now_ms + 1000000u;
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
    if (!sr.silent && sr.listener != NULL) sr.listener->changed(sr.listener->user, key);
}

static int listen(void *self, int of, const mcpsess_listener *listener) {
    (void)self;
    CHECK_EQ(of, MCPSESS_OF_LOGS);
    if (sr.listen == MCPSESS_OK) sr.listener = listener;
    return sr.listen;
}

static int hear(void *self, uint64_t now_ms) {
    (void)self;
    (void)now_ms;
    return sr.silent ? MCPSESS_STALE : sr.hear;
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

static void note(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    (void)user;
    CHECK(level >= MCPSESS_LOG_ERROR && level <= MCPSESS_LOG_INFO);
    CHECK_STR(key, "s1");
    if (item <= MCPSESS_ITEM_LOGS_DELETED) sr.items[item]++;
    sr.item_number = number;
    if (sr.watched != NULL) sr.watched_rc = mcpsess_op_rc(sr.watched);
}

void stream_rig_restart(void) {
    sr.desc.log.log = note;
    sr.desc.store.cls = &slow;
    sr.desc.store.self = &sr;
    sr.desc.random = count_up;
    CHECK_EQ(mcpsess_stream_init(&sr.streams, &sr.desc), MCPSESS_OK);
}

void stream_rig_start(void) {
    static const mcpsess_listener listener = {told, NULL};
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    mcpsess_store inner;
    memset(&sr, 0, sizeof sr);
    sr.now_ms = 1000;
    sr.who = principal("issuer", "alice");
    d.records = 1;
    d.value_max = 8;
    d.logs = STREAM_RIG_LOGS;
    d.log_bytes = STREAM_RIG_RING;
    d.fence_base = 100;
    sr.storage.len = mcpsess_memstore_bytes(&d);
    sr.storage.bytes = (char *)arena(sr.storage.len);
    CHECK_EQ(mcpsess_memstore_init(&sr.memory, &d, sr.storage.bytes, sr.storage.len), MCPSESS_OK);
    inner = mcpsess_memstore_store(&sr.memory);
    CHECK_EQ(inner.cls->listen(inner.self, MCPSESS_OF_LOGS, &listener), MCPSESS_OK);
    mcpsess_op_init(&stream_op.op, 0);
    mcpsess_op_init(&read_op, 0);
    stream_rig_restart();
}

void stream_rig_save(void) {
    CHECK(sr.storage.len <= sizeof disk);
    memcpy(disk, sr.storage.bytes, sr.storage.len);
    disk_head = sr.memory;
}

/* Fences go on, as a server's clock does. */
void stream_rig_lose(void) {
    uint64_t fence = sr.memory.i.fence;
    memcpy(sr.storage.bytes, disk, sr.storage.len);
    sr.memory = disk_head;
    sr.memory.i.fence = fence;
}

/* -- operations -- */

static int finish(mcpsess_op *op, int rc) {
    unsigned n;
    for (n = 0; n < POLLS_MAX && rc == MCPSESS_PENDING; n++) rc = mcpsess_poll(op, sr.now_ms);
    return rc;
}

int stream_open(mcpsess_stream_writer *w, const char *stream, bool fresh) {
    return finish(&stream_op.op, mcpsess_stream_open(&sr.streams, w, &stream_op, MCPSESS_STR("s1"), &sr.who,
                                                     mcpsess_str_z(stream), fresh, sr.now_ms));
}

int stream_append(mcpsess_stream_writer *w, const char *data) {
    mcpsess_event e;
    int rc;
    memset(&e, 0, sizeof e);
    e.data = mcpsess_str_z(data);
    rc = finish(&stream_op.op, mcpsess_stream_append(w, &stream_op, &e, sr.now_ms));
    mcpsess_buf_init(&id_buf, id_text, sizeof id_text);
    (void)mcpsess_stream_id(&stream_op, &id_buf);
    return rc;
}

mcpsess_str stream_three_events(void) {
    static char first[MCPSESS_EVENTID_MAX];
    mcpsess_str id;
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_OK);
    id = stream_id();
    memcpy(first, id.ptr, id.len);
    CHECK_EQ(stream_append(&sr.w, "b"), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.w, "c"), MCPSESS_OK);
    return mcpsess_str_of(first, id.len);
}

int stream_complete(mcpsess_stream_writer *w) {
    return finish(&stream_op.op, mcpsess_stream_complete(w, &stream_op, sr.now_ms));
}

int stream_resume(mcpsess_stream_reader *r, mcpsess_str last_event_id) {
    return finish(&read_op, mcpsess_stream_resume(&sr.streams, r, &read_op, last_event_id, MCPSESS_STR("s1"), &sr.who,
                                                  stream_page, sizeof stream_page, sr.now_ms));
}

int stream_next(mcpsess_stream_reader *r) {
    int rc = finish(&read_op, mcpsess_stream_next(r, &read_op, &stream_event, sr.now_ms));
    mcpsess_cancel(&read_op);
    return rc;
}

bool stream_reads(mcpsess_stream_reader *r, const char *data) {
    int rc = stream_next(r);
    CHECK_EQ(rc, MCPSESS_OK);
    return rc == MCPSESS_OK && mcpsess_str_eq(stream_event.data, mcpsess_str_z(data));
}

mcpsess_str stream_id(void) {
    return mcpsess_buf_str(&id_buf);
}
