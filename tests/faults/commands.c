/* Raw commands: any reply is an answer to them, and none is ever sent twice. */

#include "faults.h"

static void before(const faults_operation *o) {
    (void)o;
    world_clear();
    (void)world_owner("MSET", "text", "hello", "number", "41", "other", "x", NULL);
    (void)world_owner("RPUSH", "list", "1", "22", NULL);
}

static int begin(const faults_operation *o, faults_task *t, uint32_t timeout_ms) {
    const char *const *words = (const char *const *)o->what;
    size_t argc = 0;
    for (; words[argc] != NULL; argc++) t->argv[argc] = mcpsess_str_z(words[argc]);
    mcpsess_op_init(&t->u.op, timeout_ms);
    return mcpsess_redis_cmd(&rig.redis, &t->u.command, t->argv, argc, &t->out, rig.now_ms);
}

/* -- a class of its own: what the engine says, word by word -- */

static void own_encode(void *user, void *request, mcpsess_buf *out) {
    static const mcpsess_str argv[] = {{"MGET", 4}, {"text", 4}, {"number", 6}};
    (void)user;
    (void)request;
    if (mcpsess_resp_put_command(out, argv, 3) != MCPSESS_OK) out->overflow = true;
}

static void own_item(void *user, void *request, const mcpsess_resp_item *item, mcpsess_str raw) {
    faults_task *t = (faults_task *)request;
    (void)user;
    if (item->depth == 0) t->out.len = 0; /* perhaps again, after a reply that broke off */
    mcpsess_buf_put(&t->out, raw);
}

static void own_done(void *user, void *request, int rc, uint64_t now_ms) {
    faults_task *t = (faults_task *)request;
    (void)user;
    (void)now_ms;
    t->u.own.done++;
    if (rc != MCPSESS_OK) t->out.len = 0;
    (void)mcpsess_op_end(&t->u.op, rc);
}

static int own_poll(mcpsess_op *op, uint64_t now_ms) {
    (void)mcpsess_redis_poll(&rig.redis, now_ms);
    return mcpsess_op_rc(op);
}

static void own_cancel(mcpsess_op *op) {
    faults_task *t = (faults_task *)mcpsess_op_object(op);
    mcpsess_redis_drop(&rig.redis, t);
    t->out.len = 0;
    (void)mcpsess_op_end(op, MCPSESS_E_CANCELED);
}

static uint64_t own_next_due(mcpsess_op *op, uint64_t now_ms) {
    (void)op;
    return mcpsess_redis_next_due(&rig.redis, now_ms);
}

static unsigned own_want(mcpsess_op *op) {
    (void)op;
    return mcpsess_redis_want(&rig.redis);
}

static int own_begin(const faults_operation *o, faults_task *t, uint32_t timeout_ms) {
    static const mcpsess_op_class steps = {own_poll, own_cancel, own_next_due, own_want};
    static const mcpsess_redis_class cls = {own_encode, own_item, own_done};
    (void)o;
    mcpsess_op_init(&t->u.op, timeout_ms);
    (void)mcpsess_op_begin(&t->u.op, &steps, t);
    return mcpsess_redis_submit(&rig.redis, &cls, NULL, t, MCPSESS_REDIS_REPEAT, rig.now_ms + timeout_ms, rig.now_ms);
}

static bool done_once(const faults_operation *o, const faults_task *t) {
    (void)o;
    return t->u.own.done == 1;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define RAW .before = before, .begin = begin, .loss = FAULTS_ONCE, .free_form = true

static const faults_operation operations[] = {
    {.name = "GET", RAW, .what = WORDS("GET", "text")},
    {.name = "GET of nothing", RAW, .what = WORDS("GET", "none")},
    {.name = "SET", RAW, .what = WORDS("SET", "text", "bye")},
    {.name = "INCR", RAW, .what = WORDS("INCR", "number")},
    {.name = "DEL", RAW, .what = WORDS("DEL", "text", "other")},
    {.name = "LRANGE", RAW, .what = WORDS("LRANGE", "list", "0", "-1")},
    {.name = "LPUSH on a string", RAW, .what = WORDS("LPUSH", "text", "1")},
    {.name = "no such command", RAW, .what = WORDS("NOSUCH", "1")},
    {.name = "MGET of one's own class, safe to repeat",
     .before = before,
     .begin = own_begin,
     .loss = FAULTS_REPEATED,
     .free_form = true,
     .right = done_once},
};

void faults_commands(const char *path) {
    static const faults_setup setup = {.store = false};
    size_t n;
    faults_begin(&setup, path);
    for (n = 0; n < COUNT_OF(operations); n++) faults_run(&operations[n]);
    faults_end();
}
