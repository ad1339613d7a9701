/* Two connections to the server under test, each with a store before it, and its owner beside them. Whoever includes it
   says how many SLOTS they have and how large TX is, and looks at the keys that there are. */

#ifndef ENDS_H
#define ENDS_H

#include "owner.h"

typedef struct end {
    mcpsess_redis redis;
    mcpsess_redis_store store;
    sock sock;
} end;

MCPSESS_REDIS_STORAGE(wires[2], SLOTS, TX, 512);

static struct {
    end at[2]; /* a contract's is the first */
    const char *host, *port, *user, *password, *prefix;
    uint64_t ahead_ms; /* of the real clock: time that was let go by */
    uint32_t checked;  /* replies after which every key's TTL was looked at */
    uint8_t tracking;
    bool resp2;
    bool tracks; /* the server can, by its own account */
} t;

static void look_at_ttls(void);

static inline uint64_t now(void) {
    mcpsess_wait_hook hook = sock_wait_hook(&t.at[0].sock);
    return hook.now_ms(hook.user) + t.ahead_ms;
}

static inline bool text_is(mcpsess_str s, const char *z) {
    if (mcpsess_str_eq(s, mcpsess_str_z(z))) return true;
    fprintf(stderr, "%.*s\n", (int)s.len, s.ptr);
    return false;
}

static inline mcpsess_store store_at(unsigned n) {
    return mcpsess_redis_store_store(&t.at[n].store);
}

static inline void make(unsigned n) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    end *e = &t.at[n];
    mcpsess_redis_close(&e->redis);
    sock_init(&e->sock, t.host, t.port);
    d.transport = sock_transport(&e->sock);
    d.slots = SLOTS;
    d.tx_bytes = TX;
    d.rx_bytes = 512;
    d.user = mcpsess_str_z(t.user);
    d.password = mcpsess_str_z(t.password);
    d.resp2 = t.resp2;
    d.tracking = t.tracking;
    CHECK_EQ(mcpsess_redis_init(&e->redis, &d, wires[n].bytes, sizeof wires[n].bytes), MCPSESS_OK);
    sd.redis = &e->redis;
    sd.prefix = mcpsess_str_z(t.prefix);
    CHECK_EQ(mcpsess_redis_store_init(&e->store, &sd), MCPSESS_OK);
}

/* The store of a contract: after each answer the keys are looked at. */
static mcpsess_store real;
static mcpsess_store_class watched;

static inline void watched_poll(void *self, uint64_t now_ms) {
    real.cls->poll(self, now_ms);
    if (t.at[0].redis.stats.replies != t.checked) look_at_ttls();
}

/* On a server that is empty. */
static inline mcpsess_store watched_store(void) {
    mcpsess_store s;
    (void)ADMIN("FLUSHALL");
    make(0);
    t.checked = 0;
    real = store_at(0);
    watched = *real.cls;
    watched.poll = watched_poll;
    s.cls = &watched;
    s.self = real.self;
    return s;
}

static inline void idle_at(unsigned n) {
    mcpsess_wait_hook hook = sock_wait_hook(&t.at[n].sock);
    mcpsess_store s = store_at(n);
    wait_for(&s, &hook, now(), t.ahead_ms);
}

/* All at once, on one connection, until they are done. */
static inline void run_all_at(unsigned n, mcpsess_request *const *all, size_t count) {
    mcpsess_store s = store_at(n);
    size_t done = 0;
    for (; done < count; done++) (void)s.cls->submit(s.self, all[done], now());
    for (;;) {
        for (done = 0; done < count && all[done]->rc != MCPSESS_PENDING;) done++;
        if (done == count) return;
        s.cls->poll(s.self, now());
        if (all[done]->rc == MCPSESS_PENDING) idle_at(n);
    }
}

static inline int run_request_at(unsigned n, mcpsess_request *r) {
    run_all_at(n, &r, 1);
    return r->rc;
}

/* -- who is told -- */

static char heard[MCPSESS_ID_MAX];
static size_t heard_len;
static unsigned hearings;

static inline void changed(void *user, mcpsess_str key) {
    (void)user;
    hearings++;
    heard_len = key.len;
    if (key.len != 0) memcpy(heard, key.ptr, key.len);
}

static const mcpsess_listener listener = {changed, NULL};

/* -- its scripts -- */

static inline void digests_are_the_servers(int of) {
    const mcpsess_redis_module *m = &t.at[0].store.i.modules[of];
    unsigned n;
    CHECK(m->script_count > 0);
    for (n = 0; n < m->script_count; n++) {
        CHECK_EQ(strlen(m->scripts[n].text), m->scripts[n].len);
        CHECK(text_is(ADMIN("SCRIPT", "LOAD", m->scripts[n].text), m->scripts[n].sha1));
    }
}

static inline int print_script(int of, const char *what, unsigned n) {
    const mcpsess_redis_module *m = &t.at[0].store.i.modules[of];
    t.host = t.port = t.user = t.password = "";
    make(0);
    if (n >= m->script_count) return 1;
    fputs(strcmp(what, "script") == 0 ? m->scripts[n].text : m->scripts[n].sha1, stdout);
    return 0;
}

/* -- permissions -- */

static int refusals;

static inline void may(int rc, int want, const char *what) {
    if (rc == want) return;
    refusals++;
    fprintf(stderr, "%s: %s %.96s\n", what, mcpsess_redis_code_name(rc), mcpsess_redis_error(&t.at[0].redis).ptr);
}

/* -- each kind of connection -- */

static inline void connects(void) {
    port_init();
    tap_begin("connects");
    owner_open(t.host, t.port, "");
    t.tracks = server_tracks();
    tap_note("the server tracks", t.tracks);
    tap_end();
}

#define MODES 3

static inline void set_mode(int mode) {
    t.resp2 = mode == 2;
    t.tracking = mode == 1 ? MCPSESS_REDIS_TRACK_PREFIXES : MCPSESS_REDIS_TRACK_KEYS;
    tap_note("RESP2", t.resp2);
    tap_note("tracking", t.tracking);
}

#endif
