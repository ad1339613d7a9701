#include "test_store.h"

static void watch(test_store *t) {
    if (t->lock_depth != NULL && *t->lock_depth != 0) t->misuse = true;
}

/* The real answer, or the failure that was asked for, into *answer; a value into *value. */
static void perform(test_store *t, mcpsess_request *answer, uint64_t now_ms) {
    if (t->fail == MCPSESS_OK || t->fail_after) (void)t->inner.cls->submit(t->inner.self, answer, now_ms);
    if (t->fail != MCPSESS_OK) answer->rc = t->fail;
    answer->unsure = t->unsure && answer->kind == MCPSESS_PUT;
}

static void deliver(test_store *t, unsigned slot) {
    mcpsess_request *r = t->slots[slot].request, *a = &t->slots[slot].answer.request;
    t->slots[slot].request = NULL;
#if !PORT_SMALL
    if (r->kind >= MCPSESS_LOG_OPEN && a->rc >= 0)
        ((mcpsess_log_request *)(void *)r)->log = t->slots[slot].answer.log.log;
#endif
    if (a->rc >= 0 && r->out != NULL) mcpsess_buf_put(r->out, mcpsess_buf_str(&t->slots[slot].value));
    r->left_ms = a->left_ms;
    r->fence = a->fence;
    r->need = a->need;
    r->count = a->count;
    r->unsure = a->unsure;
    r->rc = a->rc;
}

static int hold(test_store *t, mcpsess_request *r, uint64_t now_ms) {
    unsigned i;
    size_t room = r->out == NULL ? 0 : r->out->cap - r->out->len;
    for (i = 0; i < TEST_STORE_SLOTS && t->slots[i].request != NULL; i++) t->slots[i].age++;
    if (i == TEST_STORE_SLOTS) return r->rc = MCPSESS_E_IO;
    t->slots[i].request = r;
    t->slots[i].delay = t->delay + 1;
    t->slots[i].hang = t->hang;
    t->slots[i].age = 0;
    t->slots[i].answer.request = *r;
    if (r->kind >= MCPSESS_FLAG_GET && r->kind <= MCPSESS_FLAG_CLEAR)
        t->slots[i].answer.flag = *(mcpsess_flag_request *)(void *)r;
#if !PORT_SMALL
    if (r->kind >= MCPSESS_LOG_OPEN) t->slots[i].answer.log = *(mcpsess_log_request *)(void *)r;
#endif
    mcpsess_buf_init(&t->slots[i].value, t->slots[i].bytes, room < TEST_STORE_VALUE ? room : TEST_STORE_VALUE);
    if (r->out != NULL) t->slots[i].answer.request.out = &t->slots[i].value;
    perform(t, &t->slots[i].answer.request, now_ms);
    return r->rc = MCPSESS_PENDING;
}

static void look_at(test_store *t, const mcpsess_request *r) {
    t->submits++;
    if (r->kind <= MCPSESS_LOG_DEL) t->kinds[r->kind]++;
    t->last = *r;
    t->last_key_len = r->key.len < sizeof t->last_key ? r->key.len : sizeof t->last_key;
    if (t->last_key_len > 0) memcpy(t->last_key, r->key.ptr, t->last_key_len);
}

static int submit(void *self, mcpsess_request *r, uint64_t now_ms) {
    test_store *t = (test_store *)self;
    unsigned i;
    watch(t);
    for (i = 0; i < TEST_STORE_SLOTS; i++) {
        if (t->slots[i].request == r) t->misuse = true; /* submitted while pending */
    }
    look_at(t, r);
    if (t->closed) return r->rc = MCPSESS_E_CLOSED;
    if (t->delay > 0 || t->hang) return hold(t, r, now_ms);
    perform(t, r, now_ms);
    return r->rc;
}

static bool due(const test_store *t, unsigned slot) {
    return t->slots[slot].request != NULL && !t->slots[slot].hang && t->slots[slot].delay == 0;
}

static void tell(test_store *t) {
    unsigned i;
    for (i = 0; i < t->push_count && t->listener != NULL; i++) {
        t->listener->changed(t->listener->user, mcpsess_str_z(t->pushes[i]));
    }
    t->push_count = 0;
}

static void poll(void *self, uint64_t now_ms) {
    test_store *t = (test_store *)self;
    unsigned i, newest = TEST_STORE_SLOTS;
    (void)now_ms;
    watch(t);
    t->polls++;
    tell(t);
    for (i = 0; i < TEST_STORE_SLOTS; i++) {
        if (t->slots[i].request != NULL && t->slots[i].delay > 0) t->slots[i].delay--;
        if (due(t, i) && (newest == TEST_STORE_SLOTS || t->slots[i].age < t->slots[newest].age)) newest = i;
    }
    for (i = 0; i < TEST_STORE_SLOTS; i++) {
        if (due(t, i) && (!t->newest_first || i == newest)) deliver(t, i);
    }
}

static void cancel(void *self, mcpsess_request *r) {
    test_store *t = (test_store *)self;
    unsigned i;
    watch(t);
    t->cancels++;
    for (i = 0; i < TEST_STORE_SLOTS; i++) {
        if (t->slots[i].request == r) t->slots[i].request = NULL;
    }
}

static uint64_t next_due(void *self, uint64_t now_ms) {
    test_store *t = (test_store *)self;
    unsigned i;
    watch(t);
    for (i = 0; i < TEST_STORE_SLOTS; i++) {
        if (t->slots[i].request != NULL && !t->slots[i].hang) return mcpsess_time_add(now_ms, 1);
    }
    return MCPSESS_NEVER;
}

static unsigned want(void *self) {
    test_store *t = (test_store *)self;
    watch(t);
    return test_store_pending(t) > 0 ? (unsigned)MCPSESS_WANT_READ : 0u;
}

static void close_store(void *self) {
    test_store *t = (test_store *)self;
    unsigned i;
    watch(t);
    t->closes++;
    t->closed = true;
    t->inner.cls->close(t->inner.self);
    for (i = 0; i < TEST_STORE_SLOTS; i++) {
        if (t->slots[i].request == NULL) continue;
        t->slots[i].answer.request.rc = MCPSESS_E_CLOSED;
        deliver(t, i);
    }
}

static const mcpsess_store_class test_store_class = {submit, poll, cancel, next_due, want, close_store, NULL, NULL};

static int listen(void *self, int of, const mcpsess_listener *listener) {
    (void)of;
    ((test_store *)self)->listener = listener;
    return MCPSESS_OK;
}

/* As a real one: with what was told, answers may come in as well. */
static int hear(void *self, uint64_t now_ms) {
    test_store *t = (test_store *)self;
    poll(self, now_ms);
    t->polls--;
    t->hears++;
    return t->hear;
}

static const mcpsess_store_class listening_class = {submit, poll, cancel, next_due, want, close_store, listen, hear};

void test_store_listens(test_store *t) {
    t->store.cls = &listening_class;
}

void test_store_push(test_store *t, const char *id) {
    if (t->push_count < COUNT_OF(t->pushes)) t->pushes[t->push_count++] = id;
    else t->pushes[0] = "";
}

void test_store_init(test_store *t, mcpsess_store inner) {
    memset(t, 0, sizeof *t);
    t->inner = inner;
    t->store.cls = &test_store_class;
    t->store.self = t;
}

void test_store_release(test_store *t) {
    unsigned i;
    for (i = 0; i < TEST_STORE_SLOTS; i++) {
        t->slots[i].hang = false;
        t->slots[i].delay = 0;
    }
}

unsigned test_store_pending(const test_store *t) {
    unsigned i, n = 0;
    for (i = 0; i < TEST_STORE_SLOTS; i++) n += t->slots[i].request != NULL ? 1u : 0u;
    return n;
}
