/* A store for tests that stands between the object under test and a real store: slow, out of order, failing or silent,
   as told; it counts, and it watches the rules. A request takes effect when it is submitted; only its answer is held
   back. */

#ifndef TEST_STORE_H
#define TEST_STORE_H

#include "test_util.h"

#define TEST_STORE_SLOTS 4u
#define TEST_STORE_VALUE 160u

/* What is held back: whole requests, but of logs not where there is little room. */
typedef union test_store_answer {
    mcpsess_request request;
    mcpsess_flag_request flag;
#if !PORT_SMALL
    mcpsess_log_request log;
#endif
} test_store_answer;

typedef struct test_store {
    mcpsess_store store; /* for the object under test */
    mcpsess_store inner; /* the real one */

    /* what happens to requests that come from now on */
    unsigned delay;    /* polls until the answer, beside the one that sends it; 0: answered inside submit */
    bool hang;         /* no answer until test_store_release */
    int fail;          /* this answer instead of the real one, unless OK; nothing takes effect */
    bool fail_after;   /* with fail: it takes effect all the same */
    bool unsure;       /* puts say that what they answer was found out later */
    bool newest_first; /* of the answers that are due, only the newest is given in one poll */
    int hear;          /* what hear answers, once told to listen; OK at first */

    /* told at the next poll or hear */
    const char *pushes[4]; /* "" is any record, and what there is no room for */
    unsigned push_count;
    const mcpsess_listener *listener;

    /* what was seen */
    unsigned submits, polls, cancels, closes, hears;
    unsigned kinds[MCPSESS_LOG_DEL + 1];
    mcpsess_request last; /* copy of the last request; its slices only live inside submit */
    char last_key[MCPSESS_ID_MAX];
    size_t last_key_len;
    bool misuse;           /* the object under test broke a rule of the contract */
    const int *lock_depth; /* unless NULL: must be 0 whenever the store is called */

    struct {
        mcpsess_request *request; /* NULL: free */
        test_store_answer answer;
        mcpsess_buf value;
        char bytes[TEST_STORE_VALUE];
        unsigned delay, age;
        bool hang;
    } slots[TEST_STORE_SLOTS];
    bool closed;
} test_store;

void test_store_init(test_store *t, mcpsess_store inner);
/* Makes it a store that others write to as well. */
void test_store_listens(test_store *t);
void test_store_push(test_store *t, const char *id);
/* Everything that is pending is answered at the next polls. */
void test_store_release(test_store *t);
unsigned test_store_pending(const test_store *t);

#endif
