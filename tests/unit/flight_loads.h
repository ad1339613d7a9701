/* What the suites of loads begin with: up to three who ask, in two tables. */

#ifndef FLIGHT_LOADS_H
#define FLIGHT_LOADS_H

#include "flight_rig.h"

static flight_ask a, b, c;

static inline void start_as(const mcpsess_flight_desc *d) {
    flight_start_as(d);
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    memset(&c, 0, sizeof c);
}

static inline void start(void) {
    mcpsess_flight_desc d = flight_desc();
    start_as(&d);
}

/* Both to their end, or until then. */
static inline unsigned run_two(uint64_t until_ms) {
    flight_ask *asks[2];
    asks[0] = &a;
    asks[1] = &b;
    return flight_loop(asks, 2, until_ms);
}

static inline unsigned run(flight_ask *one, uint64_t until_ms) {
    return flight_loop(&one, 1, until_ms);
}

static inline flight_table *t0(void) {
    return &fr.tables[0];
}

static inline flight_table *t1(void) {
    return &fr.tables[1];
}

static inline int rc_of(const flight_ask *ask) {
    return mcpsess_op_rc(&ask->op);
}

#endif
