/* memstore's logs against a naive reference */

#include "log_model.h"

#define LOGS 6u

static mcpsess_memstore ram;
static uint64_t now = 1, boots;

static void boot(log_model_rig *rig) {
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    size_t bytes;
    d.records = 1;
    d.value_max = 16;
    d.logs = LOGS;
    d.log_bytes = rig->log_bytes;
    d.fence_base = boots++ << 32;
    bytes = mcpsess_memstore_bytes(&d);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, arena(bytes), bytes), MCPSESS_OK);
    rig->store = mcpsess_memstore_store(&ram);
}

static uint64_t standing(log_model_rig *rig) {
    (void)rig;
    return now;
}

static void pass(log_model_rig *rig, uint64_t ms) {
    (void)rig;
    now += ms;
}

static bool sound(log_model_rig *rig) {
    (void)rig;
    return mcpsess_memstore_check(&ram) == MCPSESS_OK && arena_intact();
}

static log_model_rig rig = {{NULL, NULL}, 7,    0,    8,    LOGS, LOG_MODEL_LOG_BYTES,
                            true,         true, true, true, true, standing,
                            NULL,         pass, NULL, boot, sound};
static log_model_stats seen;

TEST(logs_agree_with_a_naive_model) {
    boot(&rig);
    CHECK(log_model_run(&rig, 1703, PORT_ROUNDS, &seen));
    CHECK_EQ(seen.skipped, 0);
}

/* A model in which something never happens shows nothing of it. */
TEST(logs_model_has_seen_all_there_is) {
    if (PORT_SMALL) return;
    CHECK(seen.opened > 0 && seen.begun_anew > 0 && seen.busy > 0 && seen.ended > 0);
    CHECK(seen.full > 0 && seen.evicted > 0);
    CHECK(seen.appended > 0 && seen.duplicates > 0 && seen.refused > 0 && seen.too_big > 0);
    CHECK(seen.fenced > 0 && seen.lost_tails > 0 && seen.gone > 0);
    CHECK(seen.set > 0 && seen.completed > 0 && seen.deleted > 0 && seen.foreign > 0 && seen.restarts > 0);
    CHECK(seen.replayed > 0 && seen.events > 0 && seen.gaps > 0 && seen.no_room > 0);
    tap_note("events appended", seen.appended);
    tap_note("events replayed", seen.events);
    tap_note("gaps", seen.gaps);
}

/* As on a server, whose clock goes on, now and then by more than was expected: whenever it matters. */
static uint64_t going(log_model_rig *r) {
    (void)r;
    now += random_below(400) == 0 ? random_below(40) : random_below(2);
    return now;
}

TEST(logs_model_bears_a_clock_that_goes_on) {
    log_model_rig other = rig;
    log_model_stats stats;
    other.unit_ms = 100;
    other.slack_ms = 5;
    other.now_ms = going;
    boot(&other);
    CHECK(log_model_run(&other, 1704, PORT_ROUNDS / 2, &stats));
    CHECK(stats.skipped > 0 && stats.skipped < PORT_ROUNDS / 8 && stats.appended > 0);
    tap_note("skipped", stats.skipped);
}

void test_log_model(void) {
    RUN(logs_agree_with_a_naive_model);
    RUN(logs_model_has_seen_all_there_is);
    RUN(logs_model_bears_a_clock_that_goes_on);
}
