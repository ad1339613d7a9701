/* A process that keeps flags and leases where LibreChat does, told what to do as tests/peer.h says.
     peer SOCKET USER PASSWORD

   A number that is left out is 0.
     store PREFIX PLAIN              a new connection and store; PLAIN 1: a flag without a fingerprint counts for any
   Requests of the store; each answers its code, left_ms and fence
     get USER FINGERPRINT
     claim USER TOKEN TTL FINGERPRINT
     set USER TOKEN TTL FINGERPRINT  TOKEN "-": none
     clear USER MODE
     acquire USER TOKEN TTL   extend USER TOKEN TTL   release USER TOKEN
   And
     told USER TIMEOUT_MS            waits until the store tells of this user, or of any; then it is not told any more
     send COMMAND USER NOW TTL       LibreChat's own command, by its number; the text of the reply, "-" for null
     count                           commands sent, claims that went out once more */

#define MCPSESS_IMPLEMENTATION
#define MCPSESS_REDIS_IMPLEMENTATION
#include "examples/posix_transport.h"

#include "tests/peer.h"

#define WORDS_MAX 6u
#define SLOTS 4u

MCPSESS_REDIS_STORAGE(wire, SLOTS, MCPSESS_LIBRECHAT_STORE_TX, 512);

static struct {
    mcpsess_redis redis;
    mcpsess_librechat_store lbc;
    mcpsess_store store;
    sock sock;
    mcpsess_wait_hook hook;
    const char *user, *password;
    mcpsess_listener listener;
    char told[64][MCPSESS_ID_MAX + 1]; /* whom it was told of */
    unsigned told_count;
    char prefix[MCPSESS_LIBRECHAT_PREFIX_MAX];
    char line[1024];
} t;

static uint64_t number_of(mcpsess_str word) {
    uint64_t v = 0;
    return mcpsess_u64_decode(word, INT64_MAX, &v) == MCPSESS_OK ? v : 0;
}

static uint64_t now(void) {
    return t.hook.now_ms(t.hook.user);
}

static int say_code(int rc) {
    fputs(mcpsess_redis_code_name(rc), stdout);
    return rc;
}

static void changed(void *user, mcpsess_str key) {
    char *to = t.told[t.told_count++ % 64u];
    (void)user;
    if (key.len != 0) memcpy(to, key.ptr, key.len);
    to[key.len] = '\0';
}

static void do_store(const mcpsess_str *w) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    mcpsess_librechat_store_desc sd = mcpsess_librechat_store_desc_default();
    int rc;
    mcpsess_redis_close(&t.redis);
    d.transport = sock_transport(&t.sock);
    d.random = sock_random;
    d.user = mcpsess_str_z(t.user);
    d.password = mcpsess_str_z(t.password);
    d.slots = SLOTS;
    d.tx_bytes = MCPSESS_LIBRECHAT_STORE_TX;
    d.rx_bytes = 512;
    rc = mcpsess_redis_init(&t.redis, &d, wire.bytes, sizeof wire.bytes);
    if (w[1].len != 0) memcpy(t.prefix, w[1].ptr, w[1].len);
    sd.redis = &t.redis;
    sd.prefix = mcpsess_str_of(t.prefix, w[1].len);
    sd.plain_counts = number_of(w[2]) != 0;
    if (rc == MCPSESS_OK) rc = mcpsess_librechat_store_init(&t.lbc, &sd);
    t.store = mcpsess_librechat_store_store(&t.lbc);
    t.listener.changed = changed;
    t.told_count = 0;
    if (rc == MCPSESS_OK) rc = t.store.cls->listen(t.store.self, MCPSESS_OF_FLAGS, &t.listener);
    (void)say_code(rc);
}

static void turn(uint64_t until_ms) {
    uint64_t due_ms = t.store.cls->next_due(t.store.self, now());
    (void)t.hook.wait(t.hook.user, t.store.cls->want(t.store.self), due_ms < until_ms ? due_ms : until_ms);
    t.store.cls->poll(t.store.self, now());
}

static void run(mcpsess_flag_request *q) {
    t.store.cls->submit(t.store.self, &q->request, now());
    if (q->request.rc == MCPSESS_PENDING) t.store.cls->poll(t.store.self, now());
    while (q->request.rc == MCPSESS_PENDING) turn(MCPSESS_NEVER);
    (void)say_code(q->request.rc);
    say_number(q->request.left_ms);
    say_number(q->request.fence);
}

static mcpsess_flag_request request_of(uint8_t kind, const mcpsess_str *w) {
    mcpsess_flag_request q;
    memset(&q, 0, sizeof q);
    q.request.kind = kind;
    q.request.key = w[1];
    if (!mcpsess_str_eq(w[2], MCPSESS_STR("-"))) q.request.value = w[2];
    q.request.ttl_ms = number_of(w[3]);
    q.request.expect = w[4].len != 0 ? w[4] : MCPSESS_STR("");
    return q;
}

static void do_get(const mcpsess_str *w) {
    mcpsess_flag_request q = request_of(MCPSESS_FLAG_GET, w);
    q.request.value = MCPSESS_STR("");
    q.request.expect = w[2].len != 0 ? w[2] : MCPSESS_STR("");
    run(&q);
}

static void do_claim(const mcpsess_str *w) {
    mcpsess_flag_request q = request_of(MCPSESS_FLAG_CLAIM, w);
    run(&q);
}

static void do_set(const mcpsess_str *w) {
    mcpsess_flag_request q = request_of(MCPSESS_FLAG_SET, w);
    run(&q);
}

static void do_clear(const mcpsess_str *w) {
    mcpsess_flag_request q = request_of(MCPSESS_FLAG_CLEAR, w);
    q.request.value = MCPSESS_STR("");
    q.request.mode = (uint8_t)number_of(w[2]);
    run(&q);
}

static void do_acquire(const mcpsess_str *w) {
    mcpsess_flag_request q = request_of(MCPSESS_LEASE_ACQUIRE, w);
    run(&q);
}

static void do_extend(const mcpsess_str *w) {
    mcpsess_flag_request q = request_of(MCPSESS_LEASE_EXTEND, w);
    run(&q);
}

static void do_release(const mcpsess_str *w) {
    mcpsess_flag_request q = request_of(MCPSESS_LEASE_RELEASE, w);
    run(&q);
}

/* Takes the names away that it was told of. */
static bool was_told(mcpsess_str user) {
    bool was = false;
    for (; t.told_count > 0; t.told_count--) {
        mcpsess_str name = mcpsess_str_z(t.told[(t.told_count - 1u) % 64u]);
        was = was || name.len == 0 || mcpsess_str_eq(name, user);
    }
    return was;
}

static void do_told(const mcpsess_str *w) {
    uint64_t until_ms = mcpsess_time_add(now(), number_of(w[2]));
    bool was = was_told(w[1]);
    while (!was && now() < until_ms) {
        turn(until_ms);
        was = was_told(w[1]);
    }
    (void)say_code(was ? MCPSESS_OK : MCPSESS_E_TIMEOUT);
}

static void do_send(const mcpsess_str *w) {
    char mem[512], reply_mem[512];
    mcpsess_librechat_call call;
    mcpsess_librechat_words words;
    mcpsess_buf scratch, reply;
    mcpsess_str text;
    int rc;
    mcpsess_buf_init(&scratch, mem, sizeof mem);
    mcpsess_buf_init(&reply, reply_mem, sizeof reply_mem);
    memset(&call, 0, sizeof call);
    call.prefix = mcpsess_str_of(t.prefix, t.lbc.i.prefix_len > 2u ? t.lbc.i.prefix_len - 2u : 0);
    call.user = w[2];
    call.now_ms = number_of(w[3]);
    call.ttl_ms = number_of(w[4]);
    rc = mcpsess_librechat_command(&call, (int)number_of(w[1]), &scratch, &words);
    if (rc == MCPSESS_OK) rc = mcpsess_redis_call(&t.redis, words.argv, words.argc, &reply, &t.hook);
    text = rc == MCPSESS_OK ? mcpsess_redis_text(mcpsess_buf_str(&reply)) : MCPSESS_STR("");
    (void)say_code(rc);
    say(text.ptr == NULL ? MCPSESS_STR("-") : text);
}

static void do_count(const mcpsess_str *w) {
    (void)w;
    (void)say_code(MCPSESS_OK);
    say_number(t.redis.stats.commands);
    say_number(t.lbc.stats.again);
}

static const struct {
    const char *name;
    void (*obey)(const mcpsess_str *w);
} verbs[] = {
    {"store", do_store}, {"get", do_get},         {"claim", do_claim},   {"set", do_set},
    {"clear", do_clear}, {"acquire", do_acquire}, {"extend", do_extend}, {"release", do_release},
    {"told", do_told},   {"send", do_send},       {"count", do_count},
};

static bool answer(char *line) {
    mcpsess_str words[WORDS_MAX];
    unsigned n = 0;
    (void)take_words(line, words, WORDS_MAX);
    while (n < sizeof verbs / sizeof verbs[0] && !mcpsess_str_eq(words[0], mcpsess_str_z(verbs[n].name))) n++;
    if (n < sizeof verbs / sizeof verbs[0]) verbs[n].obey(words);
    else (void)say_code(MCPSESS_E_ARG);
    putchar('\n');
    return fflush(stdout) == 0;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    sock_init(&t.sock, argv[1], NULL);
    t.hook = sock_wait_hook(&t.sock);
    t.user = argv[2];
    t.password = argv[3];
    while (fgets(t.line, sizeof t.line, stdin) != NULL) {
        if (!answer(t.line)) return 2;
    }
    mcpsess_redis_close(&t.redis);
    return 0;
}
