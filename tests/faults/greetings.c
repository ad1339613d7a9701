/* The handshake, in all its forms, with a first command that waits for it. */

#include "faults.h"

static void before(const faults_operation *o) {
    (void)o;
    world_clear();
    CHECK_EQ(mcpsess_redis_reset(&rig.redis, rig.now_ms), MCPSESS_OK);
}

static int begin(const faults_operation *o, faults_task *t, uint32_t timeout_ms) {
    (void)o;
    t->argv[0] = MCPSESS_STR("SET");
    t->argv[1] = MCPSESS_STR("greeted");
    t->argv[2] = MCPSESS_STR("yes");
    mcpsess_op_init(&t->u.op, timeout_ms);
    return mcpsess_redis_cmd(&rig.redis, &t->u.command, t->argv, 3, &t->out, rig.now_ms);
}

#define GREETS .before = before, .begin = begin, .loss = FAULTS_ONCE, .free_form = true, .greets = true

static const struct {
    faults_operation operation;
    faults_setup setup;
} greetings[] = {
    {{.name = "RESP3", GREETS}, {.store = false}},
    {{.name = "RESP3, tracking", GREETS}, {.tracking = MCPSESS_REDIS_TRACK_KEYS}},
    {{.name = "RESP3, tracking of prefixes, scripts", GREETS},
     {.store = true, .tracking = MCPSESS_REDIS_TRACK_PREFIXES}},
    {{.name = "RESP3, user, name, database", GREETS},
     {.user = "gateway", .password = "secret", .name = "faults", .db = 3, .tracking = MCPSESS_REDIS_TRACK_KEYS}},
    {{.name = "RESP3, scripts, patient", GREETS}, {.store = true, .patient = true}},
    {{.name = "RESP2", GREETS}, {.resp2 = true}},
    {{.name = "RESP2, scripts", GREETS}, {.resp2 = true, .store = true}},
    {{.name = "RESP2, user, name, database", GREETS},
     {.resp2 = true, .user = "gateway", .password = "secret", .name = "faults", .db = 3}},
    {{.name = "RESP2, password", GREETS}, {.resp2 = true, .password = "secret"}},
};

void faults_greetings(const char *path) {
    size_t n;
    for (n = 0; n < COUNT_OF(greetings); n++) {
        const faults_setup *s = &greetings[n].setup;
        faults_begin(s, path);
        (void)world_owner("ACL", "SETUSER", "gateway", "on", ">secret", "allkeys", "+@all", NULL);
        if (s->password != NULL) (void)world_owner("ACL", "SETUSER", "default", "resetpass", ">secret", NULL);
        faults_run(&greetings[n].operation);
        faults_end();
        (void)world_owner("ACL", "SETUSER", "default", "nopass", NULL);
    }
}
