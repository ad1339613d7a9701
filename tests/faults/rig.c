/* One of everything that is tested, as each table of operations wants it. */

#include "faults.h"

#include <stdlib.h>

struct faults_rig rig;

static mcpsess_str encode(char *room, const char *id, const mcpsess_principal *who, const char *backend) {
    mcpsess_record r;
    mcpsess_buf b;
    memset(&r, 0, sizeof r);
    r.id = mcpsess_str_z(id);
    r.principal = *who;
    r.backend = mcpsess_str_z(backend);
    r.state = MCPSESS_STATE_ACTIVE;
    mcpsess_buf_init(&b, room, RIG_OUT);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    return mcpsess_buf_str(&b);
}

static void records(void) {
    rig.now_ms = 1000000;
    rig.alice = principal("https://issuer", "alice");
    rig.bob = principal("https://issuer", "bob");
    rig.alices = encode(rig.record[0], "a", &rig.alice, "one");
    rig.newer = encode(rig.record[1], "a", &rig.alice, "another");
    rig.bobs = encode(rig.record[2], "a", &rig.bob, "one");
    rig.newest = encode(rig.record[4], "a", &rig.alice, "a fourth");
    rig.others = encode(rig.record[3], "b", &rig.alice, "a third");
}

static mcpsess_str text_or_none(const char *z) {
    return z == NULL ? mcpsess_str_of(NULL, 0) : mcpsess_str_z(z);
}

static mcpsess_redis_desc describe(const faults_setup *s) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    d.transport = wire_transport();
    d.slots = RIG_SLOTS;
    d.tx_bytes = RIG_TX;
    d.rx_bytes = RIG_RX;
    d.reply_timeout_ms = RIG_PATIENCE;
    d.connect_timeout_ms = RIG_CONNECTING;
    d.tracking = s->tracking == 0 ? (uint8_t)MCPSESS_REDIS_TRACK_OFF : s->tracking;
    d.resp2 = s->resp2;
    d.patient = s->patient;
    d.user = text_or_none(s->user);
    d.password = text_or_none(s->password);
    d.name = text_or_none(s->name);
    d.db = s->db;
    return d;
}

void faults_table(void) {
    mcpsess_session_desc d = mcpsess_session_desc_default();
    d.store = rig.records;
    d.capacity = 4;
    d.slot_max = RIG_OUT;
    d.lanes = 3;
    d.record_max = RIG_OUT;
    d.ttl_ms = WORLD_TTL;
    d.timeout_ms = RIG_TIMEOUT;
    if (rig.table_mem == NULL) rig.table_mem = malloc(mcpsess_session_bytes(&d));
    CHECK_EQ(mcpsess_session_init(&rig.table, &d, rig.table_mem, mcpsess_session_bytes(&d)), MCPSESS_OK);
}

void faults_begin(const faults_setup *s, const char *path) {
    mcpsess_redis_desc d = describe(s);
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    mcpsess_csharp_store_desc cd = mcpsess_csharp_store_desc_default();
    mcpsess_librechat_store_desc ld = mcpsess_librechat_store_desc_default();
    wire.path = path;
    world_connect(path);
    rig.world = WORLD_REDIS;
    rig.patient = s->patient;
    records();
    free(rig.redis_mem);
    rig.redis_mem = malloc(mcpsess_redis_bytes(&d));
    CHECK_EQ(mcpsess_redis_init(&rig.redis, &d, rig.redis_mem, mcpsess_redis_bytes(&d)), MCPSESS_OK);
    sd.redis = &rig.redis;
    if (s->store) CHECK_EQ(mcpsess_redis_store_init(&rig.store, &sd), MCPSESS_OK);
    rig.records = mcpsess_redis_store_store(&rig.store);
    if (s->librechat) {
        rig.world = WORLD_LIBRECHAT;
        ld.redis = &rig.redis;
        CHECK_EQ(mcpsess_librechat_store_init(&rig.librechat, &ld), MCPSESS_OK);
        rig.records = mcpsess_librechat_store_store(&rig.librechat);
    }
    if (!s->csharp) return;
    rig.world = WORLD_CSHARP;
    cd.redis = &rig.redis;
    cd.index = true;
    CHECK_EQ(mcpsess_csharp_store_init(&rig.csharp, &cd), MCPSESS_OK);
    rig.records = mcpsess_csharp_store_store(&rig.csharp);
}

void faults_begin_ram(void) {
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    rig.world = WORLD_RAM;
    rig.patient = false;
    records();
    d.records = 8;
    d.leases = 2;
    d.value_max = RIG_OUT;
    d.logs = 2;
    d.log_bytes = 1024;
    d.flags = 2;
    d.flag_max = 64;
    rig.ram_mem = malloc(mcpsess_memstore_bytes(&d));
    CHECK_EQ(mcpsess_memstore_init(&rig.ram, &d, rig.ram_mem, mcpsess_memstore_bytes(&d)), MCPSESS_OK);
    test_store_init(&rig.net, mcpsess_memstore_store(&rig.ram));
    test_store_listens(&rig.net);
    rig.records = rig.net.store;
    faults_table();
    world_put("b", rig.others, 0);
}

void faults_end(void) {
    mcpsess_redis_close(&rig.redis);
}
