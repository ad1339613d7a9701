/* ToolHive's commands, as the header builds them. */

#include "faults.h"

#define ID "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define KEY "thv:vmcp:session:" ID
#define JSON "{\"a\":\"1\"}"

static void before(const faults_operation *o) {
    world_clear();
    if (*(const int *)o->what != MCPSESS_TOOLHIVE_CREATE) (void)world_owner("SET", KEY, "{}", "PX", "20000", NULL);
}

static int begin(const faults_operation *o, faults_task *t, uint32_t timeout_ms) {
    mcpsess_toolhive_layout layout = mcpsess_toolhive_vmcp();
    mcpsess_toolhive_words words;
    mcpsess_buf scratch;
    mcpsess_buf_init(&scratch, t->room, sizeof t->room);
    CHECK_EQ(mcpsess_toolhive_command(&layout, *(const int *)o->what, MCPSESS_STR(ID), MCPSESS_STR(JSON), &scratch,
                                      &words),
             MCPSESS_OK);
    memcpy(t->argv, words.argv, sizeof words.argv);
    mcpsess_op_init(&t->u.op, timeout_ms);
    return mcpsess_redis_cmd(&rig.redis, &t->u.command, t->argv, words.argc, &t->out, rig.now_ms);
}

#define COMMAND(command) \
    .what = &(const int){command}, .before = before, .begin = begin, .loss = FAULTS_ONCE, .free_form = true

static const faults_operation operations[] = {
    {.name = "create", COMMAND(MCPSESS_TOOLHIVE_CREATE)}, {.name = "update", COMMAND(MCPSESS_TOOLHIVE_UPDATE)},
    {.name = "store", COMMAND(MCPSESS_TOOLHIVE_STORE)},   {.name = "load", COMMAND(MCPSESS_TOOLHIVE_LOAD)},
    {.name = "peek", COMMAND(MCPSESS_TOOLHIVE_PEEK)},     {.name = "delete", COMMAND(MCPSESS_TOOLHIVE_DELETE)},
};

void faults_toolhive(const char *path) {
    static const faults_setup setup = {.store = false};
    size_t n;
    faults_begin(&setup, path);
    for (n = 0; n < COUNT_OF(operations); n++) faults_run(&operations[n]);
    faults_end();
}
