/* backend: its table of steps, walked along every way there is through it. What the table promises is checked here once
   for all drivers, all faults and all orders: an outcome is only ever one of OK, MISS and anything else. */

#define MCPSESS_STATIC
#define MCPSESS_IMPLEMENTATION
#include "mcpsess.h"

#include "tap.h"

#include <string.h>

#define AT(row) MCPSESS_I_BACKEND_AT_##row
#define ROWS (sizeof mcpsess_i_backend_rows / sizeof mcpsess_i_backend_rows[0])
#define CONDITIONS (MCPSESS_I_BACKEND_SAY - MCPSESS_I_BACKEND_IF_RUNS)

/* What is known on the way. */
typedef struct way {
    uint8_t kind;
    int8_t asked[CONDITIONS]; /* 0: not yet; 1: yes; -1: no */
    int8_t copy;              /* 0: nobody knows; 1: there is one; -1: there is none */
    bool stopped, exported, empty, imported, restored, failed;
    uint8_t length;
} way;

static bool seen[ROWS];
static unsigned ways, longest;
static const char *broken; /* a rule that was */
static uint8_t broken_at;

static void holds(bool rule, const char *text, uint8_t row) {
    if (rule || broken != NULL) return;
    broken = text;
    broken_at = row;
}

static int8_t asked(const way *w, uint8_t condition) {
    return w->asked[condition - MCPSESS_I_BACKEND_IF_RUNS];
}

static bool runs(const way *w) {
    return asked(w, MCPSESS_I_BACKEND_IF_RUNS) == 1 && !w->stopped;
}

/* -- the rules, by what is about to be done */

static void check_data(const way *w, uint8_t row, uint8_t step) {
    bool theirs = w->kind == AT(EXPORT), live = asked(w, MCPSESS_I_BACKEND_IF_LIVE) == 1;
    switch (step) {
    case MCPSESS_BACKEND_EXPORT:
        holds(theirs || w->copy == -1, "nothing is exported aside unless there is no copy", row);
        holds(live || !runs(w), "nothing is exported while it runs, unless that is the only way", row);
        return;
    case MCPSESS_BACKEND_KEEP_COPY: holds(w->exported && w->copy == -1, "what is kept was exported", row); return;
    case MCPSESS_BACKEND_IMPORT:
        holds(live || !runs(w), "nothing is imported while it runs, unless that is the only way", row);
        return;
    case MCPSESS_BACKEND_DROP_COPY:
        holds(w->kind == AT(DISCARD) || w->imported, "a copy is dropped when it was imported", row);
        return;
    case MCPSESS_BACKEND_REMOVE:
        if (asked(w, MCPSESS_I_BACKEND_IF_PRESERVING) == -1) return;
        holds(w->copy == 1 || w->empty, "what is to be preserved is removed only when there is a copy", row);
        holds(asked(w, MCPSESS_I_BACKEND_IF_PRESERVING) == 1, "it is known whether to preserve", row);
        return;
    default: return;
    }
}

static void check_step(const way *w, uint8_t row, const mcpsess_i_backend_row *r) {
    bool undoes = (r->how & MCPSESS_I_BACKEND_U) != 0;
    check_data(w, row, r->step);
    if (r->step == MCPSESS_BACKEND_START) {
        bool ran = asked(w, MCPSESS_I_BACKEND_IF_RUNS) == 1;
        holds(ran || w->restored || w->copy == -1, "nothing starts beside a copy that was not restored", row);
        holds(ran == undoes, "what ran is started again, whatever went wrong", row);
    }
    if (r->step == MCPSESS_BACKEND_CREATE) {
        holds(asked(w, MCPSESS_I_BACKEND_IF_RUNS) == 0, "only what is absent is created", row);
    }
    if (w->kind != AT(PREPARE)) holds(!w->failed || undoes, "after a failure, nothing but what undoes something", row);
}

/* -- what an outcome tells */

static void learn(way *w, uint8_t step, bool ok, bool miss) {
    switch (step) {
    case MCPSESS_BACKEND_STAT_COPY: w->copy = ok ? 1 : miss ? -1 : 0; return;
    case MCPSESS_BACKEND_STOP: w->stopped = w->stopped || ok || miss; return;
    case MCPSESS_BACKEND_EXPORT:
        w->exported = ok;
        w->empty = miss;
        return;
    case MCPSESS_BACKEND_KEEP_COPY: w->copy = 0; return;
    case MCPSESS_BACKEND_IMPORT: w->imported = ok; return;
    case MCPSESS_BACKEND_DROP_COPY:
        if (ok || miss) w->restored = w->imported;
        return;
    default: return;
    }
}

static void walk(way w, uint8_t row);

static void step(way w, uint8_t row, const mcpsess_i_backend_row *r) {
    int outcome;
    check_step(&w, row, r);
    for (outcome = 0; outcome < 3; outcome++) {
        bool ok = outcome == 0, miss = outcome == 1 && r->miss != AT(FAIL);
        way next = w;
        if (outcome == 1 && !miss) continue; /* as the third */
        learn(&next, r->step, ok, miss);
        if (!ok && !miss && (r->how & MCPSESS_I_BACKEND_T) == 0) next.failed = true;
        walk(next, ok ? r->ok : miss ? r->miss : r->fail);
    }
}

static void whether(way w, const mcpsess_i_backend_row *r) {
    int8_t *known = &w.asked[r->step - MCPSESS_I_BACKEND_IF_RUNS];
    bool reached = r->step == MCPSESS_I_BACKEND_IF_REACHED; /* may change on the way */
    int8_t was = reached ? 0 : *known;
    if (was != -1) {
        way yes = w;
        yes.asked[r->step - MCPSESS_I_BACKEND_IF_RUNS] = 1;
        if (r->step == MCPSESS_I_BACKEND_IF_SKIPPED) yes.failed = false;
        walk(yes, r->ok);
    }
    if (was == 1) return;
    *known = -1;
    walk(w, r->miss);
}

static void walk(way w, uint8_t row) {
    mcpsess_i_backend_row r;
    if (row != AT(END)) seen[row] = true;
    if (++w.length > longest) longest = w.length;
    holds(w.length <= ROWS, "no way leads back to a row", row);
    if (broken != NULL) return;
    if (row == AT(END)) {
        ways++;
        return;
    }
    r = mcpsess_i_backend_row_at(row);
    if (r.step == MCPSESS_I_BACKEND_SAY) {
        w.failed = r.how != MCPSESS_OK;
        walk(w, r.ok);
    } else if (r.step >= MCPSESS_I_BACKEND_IF_RUNS) {
        whether(w, &r);
    } else {
        step(w, row, &r);
    }
}

TEST(backend_rows_keep_their_promises_on_every_way) {
    static const uint8_t kinds[] = {AT(ENSURE),  AT(START),   AT(STOP), AT(DEL),  AT(EXPORT), AT(IMPORT),
                                    AT(DISCARD), AT(ADDRESS), AT(LOOK), AT(LIST), AT(PREPARE)};
    unsigned n;
    for (n = 0; n < sizeof kinds; n++) {
        way w;
        memset(&w, 0, sizeof w);
        w.kind = kinds[n];
        walk(w, w.kind);
    }
    if (broken != NULL) {
        CHECK(broken == NULL);
        tap_note(broken, broken_at);
        return;
    }
    for (n = 1; n < ROWS; n++) {
        if (CHECK(seen[n])) continue;
        tap_note("no way leads to row", n);
    }
    tap_note("ways", ways);
    tap_note("longest", longest);
}

TEST(backend_rows_of_what_changes_something_come_before_address) {
    CHECK(mcpsess_i_backend_changes(AT(ENSURE)) && mcpsess_i_backend_changes(AT(DISCARD)));
    CHECK(!mcpsess_i_backend_changes(AT(ADDRESS)) && !mcpsess_i_backend_changes(AT(LOOK)));
    CHECK(!mcpsess_i_backend_changes(AT(LIST)) && !mcpsess_i_backend_changes(AT(PREPARE)));
}

void test_backend_rows(void) {
    RUN(backend_rows_keep_their_promises_on_every_way);
    RUN(backend_rows_of_what_changes_something_come_before_address);
}
