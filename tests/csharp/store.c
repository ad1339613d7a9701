/* The store on a real server: the contract of every store that has logs, as a user that may do what the manual says.
     store SOCKET PASSWORD           the contract; without a password as nobody
     store SOCKET PASSWORD cluster   that a cluster takes it with a tag in the instance's name alone
     store script N, store digest N  of the store's scripts, from 0; status 1: there is none */

#include "tests/redis/owner.h"

#include "log_contract.h"

#define SLOTS 8
#define DATA_MAX 4096u

MCPSESS_REDIS_STORAGE(wire, SLOTS, MCPSESS_CSHARP_STORE_TX(DATA_MAX), 256);

static struct {
    log_rig rig;
    mcpsess_redis redis;
    mcpsess_csharp_store store;
    sock sock;
    mcpsess_wait_hook hook;
    const char *path, *user, *password;
    uint64_t ahead_ms; /* of the real clock: time that was let go by */
    mcpsess_csharp_store_desc desc;
} t;

static uint64_t now(void) {
    return t.hook.now_ms(t.hook.user) + t.ahead_ms;
}

static void make(void) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    d.slots = SLOTS;
    d.tx_bytes = MCPSESS_CSHARP_STORE_TX(DATA_MAX);
    d.rx_bytes = 256;
    d.user = mcpsess_str_z(t.user);
    d.password = mcpsess_str_z(t.password);
    mcpsess_redis_close(&t.redis);
    sock_init(&t.sock, t.path, NULL);
    t.hook = sock_wait_hook(&t.sock);
    d.transport = sock_transport(&t.sock);
    CHECK_EQ(mcpsess_redis_init(&t.redis, &d, wire.bytes, sizeof wire.bytes), MCPSESS_OK);
    t.desc.redis = &t.redis;
    CHECK_EQ(mcpsess_csharp_store_init(&t.store, &t.desc), MCPSESS_OK);
    t.rig.store = mcpsess_csharp_store_store(&t.store);
    t.rig.now_ms = now();
}

static void reset(log_rig *rig) {
    (void)rig;
    (void)ADMIN("FLUSHALL");
    make();
}

static void pass(log_rig *rig, uint64_t ms) {
    static const char age[] =
        AGING("for _,f in ipairs({'u','k'}) do local u=redis.call('HGET',k,f)\n"
              "if u then redis.call('HSET',k,f,u-ARGV[1]) end end\n"
              "local a=redis.call('HGET',k,'absexp')\n"
              "if a then redis.call('HSET',k,'absexp',string.format('%.0f',a-ARGV[1]*10000)) end\n");
    owner_ages(age, ms);
    t.ahead_ms += ms;
    rig->now_ms = now();
}

static void idle(log_rig *rig) {
    wait_for(&rig->store, &t.hook, rig->now_ms, t.ahead_ms);
    rig->now_ms = now();
}

/* -- in a cluster -- */

static int ask(mcpsess_log_request *q, uint8_t kind, const char *stream) {
    q->request.kind = kind;
    q->request.key = MCPSESS_STR("s");
    q->request.value = MCPSESS_STR("token");
    q->request.ttl_ms = t.rig.unit_ms;
    q->log.stream = mcpsess_str_z(stream);
    t.rig.store.cls->submit(t.rig.store.self, &q->request, t.rig.now_ms);
    while (q->request.rc == MCPSESS_PENDING) {
        t.rig.store.cls->poll(t.rig.store.self, t.rig.now_ms);
        if (q->request.rc == MCPSESS_PENDING) idle(&t.rig);
    }
    return q->request.rc;
}

static void cluster(mcpsess_str instance, int want) {
    static char mem[256];
    static const uint8_t kinds[] = {MCPSESS_LOG_OPEN,  MCPSESS_LOG_APPEND, MCPSESS_LOG_SET, MCPSESS_LOG_RANGE,
                                    MCPSESS_LOG_STATE, MCPSESS_LOG_DEL,    MCPSESS_LOG_DEL};
    mcpsess_log_request q;
    mcpsess_buf out;
    unsigned n;
    t.desc.instance = instance;
    t.desc.index = true;
    make();
    memset(&q, 0, sizeof q);
    for (n = 0; n < COUNT_OF(kinds); n++) {
        mcpsess_buf_init(&out, mem, sizeof mem);
        q.request.out = &out;
        q.log.sequence = n == 1 ? 1 : 0; /* the first, then what follows nothing */
        CHECK_EQ(ask(&q, kinds[n], n == COUNT_OF(kinds) - 1 ? NULL : "1"), want);
    }
    if (want == MCPSESS_OK) CHECK(out.len == 0);
}

static int in_a_cluster(void) {
    tap_begin("cluster");
    cluster(MCPSESS_STR(""), MCPSESS_REDIS_E_CROSSSLOT);
    cluster(MCPSESS_STR("app:"), MCPSESS_REDIS_E_CROSSSLOT);
    cluster(MCPSESS_STR("{mcp}"), MCPSESS_OK);
    tap_end();
    return tap_finish();
}

static int print_script(const char *what, unsigned n) {
    const mcpsess_redis_script *script;
    t.path = t.user = t.password = "";
    make();
    if (n >= t.store.i.module.script_count) return 1;
    script = &t.store.i.module.scripts[n];
    fputs(strcmp(what, "script") == 0 ? script->text : script->sha1, stdout);
    return 0;
}

int main(int argc, char **argv) {
    int mode;
    if (argc != 3 && argc != 4) return 2;
    if (argv[2][0] >= '0' && argv[2][0] <= '9') return print_script(argv[1], (unsigned)atoi(argv[2]));
    t.path = argv[1];
    t.password = argv[2];
    t.user = argv[2][0] != '\0' ? "mcpsess" : "";
    t.rig.unit_ms = 10000;
    t.rig.closes = t.rig.owners = t.rig.ages = t.rig.apart = t.rig.json = true;
    t.rig.reset = reset;
    t.rig.pass = pass;
    t.rig.idle = idle;
    port_init();
    if (argc == 4) return in_a_cluster();
    tap_begin("connects");
    owner_open(t.path, NULL, "");
    tap_end();
    for (mode = 0; mode < 2; mode++) {
        t.desc.index = t.desc.numbers = t.rig.deletes_all = t.rig.utf8 = mode == 1;
        t.desc.instance = mode == 1 ? MCPSESS_STR("app {1} \xC3\xA9:") : MCPSESS_STR("");
        tap_note("with an index, and an instance's name", mode);
        log_contract(&t.rig);
    }
    return tap_finish();
}
