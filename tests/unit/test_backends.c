/* backends: those of a session, in its record; as ToolHive's NotifyBackendExpired would have them, without its faults
 */

#include "test_util.h"

static const mcpsess_backends names = {LIT("ids"), LIT("s.")};
static char mem[160], before[160];
static mcpsess_buf buf;

static void begin(uint8_t state) {
    mcpsess_record r;
    memset(&r, 0, sizeof r);
    memset(mem, '#', sizeof mem);
    r.id = MCPSESS_STR("one");
    r.principal = principal("iss", "sub");
    r.state = state;
    mcpsess_buf_init(&buf, mem, sizeof mem);
    CHECK_EQ(mcpsess_record_encode(&r, &buf), MCPSESS_OK);
}

static void pair(const char *key, const char *value) {
    CHECK_EQ(mcpsess_record_put(&buf, mcpsess_str_z(key), mcpsess_str_z(value)), MCPSESS_OK);
}

/* a session with this list, NULL: none, and a pair of each of a and b */
static void have(const char *list) {
    begin(MCPSESS_STATE_ACTIVE);
    if (list != NULL) pair("ids", list);
    pair("s.a", "sess-a");
    pair("s.b", "sess-b");
    pair("z", "last");
}

static mcpsess_record now(void) {
    mcpsess_record r;
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&buf), &r), MCPSESS_OK);
    return r;
}

static bool has(const char *key, const char *value) {
    mcpsess_record r = now();
    mcpsess_str got;
    int rc = mcpsess_record_get(&r, mcpsess_str_z(key), &got);
    if (value == NULL) return rc == MCPSESS_MISS;
    return rc == MCPSESS_OK && mcpsess_str_eq(got, mcpsess_str_z(value));
}

static int del(const char *name) {
    return mcpsess_backends_del(&names, &buf, mcpsess_str_z(name));
}

/* does it leave all bytes as they are, with this code? */
static bool leaves(const char *name, int rc) {
    size_t len = buf.len;
    memcpy(before, mem, sizeof mem);
    return del(name) == rc && buf.len == len && same_bytes(mem, before, sizeof mem);
}

/* list -> what is left of it without a */
static bool leaves_of(const char *list, const char *left) {
    have(list);
    return del("a") == MCPSESS_OK && has("ids", left) && has("s.a", NULL) && has("s.b", "sess-b") && has("z", "last");
}

TEST(th42_05a_without_a_list_or_terminated_nothing_is_done) {
    have(NULL);
    CHECK(leaves("a", MCPSESS_MISS));
    begin(MCPSESS_STATE_TERMINATED);
    pair("ids", "a,b");
    pair("s.a", "sess-a");
    CHECK(leaves("a", MCPSESS_MISS));
    begin(MCPSESS_STATE_PLACEHOLDER);
    CHECK(leaves("a", MCPSESS_MISS));
}

TEST(th42_05b_a_backend_is_out_of_the_list_and_its_pair_gone) {
    CHECK(leaves_of("a,b", "b"));
    CHECK(leaves_of("b,a", "b"));
    CHECK(leaves_of("c,a,b", "c,b"));
    CHECK(leaves_of("b,c", "b,c")); /* its pair alone was there */
    CHECK(leaves_of("aa,b,a,ab", "aa,b,ab"));
    CHECK(leaves_of("a,b,a", "b")); /* listed twice */
    have("b");
    pair("r.a", "of another meaning");
    CHECK_EQ(del("a"), MCPSESS_OK);
    CHECK(has("r.a", "of another meaning") && has("s.a", NULL));
}

TEST(th42_05b_the_list_is_split_trimmed_and_keeps_its_order) {
    CHECK(leaves_of(" b , a ,\tc\r\n", "b,c"));
    CHECK(leaves_of(",,b,,a,,", "b"));
    CHECK(leaves_of("z,y,a,x", "z,y,x"));
    CHECK(leaves_of("one two , a", "one two")); /* white space within a name is part of it */
    CHECK(leaves_of(" , ,", ""));
}

TEST(th42_05c_the_list_stays_when_it_is_empty) {
    CHECK(leaves_of("a", ""));
    CHECK(leaves_of("", ""));
    CHECK(leaves("a", MCPSESS_END));
    CHECK(has("ids", ""));
}

TEST(th42_05d_an_unknown_backend_is_harmless) {
    have("a,b");
    CHECK(leaves("c", MCPSESS_END));
    CHECK(leaves("ab", MCPSESS_END));
    CHECK(leaves("a,b", MCPSESS_END)); /* no name has a comma */
    have(" a,b");
    CHECK_EQ(del("c"), MCPSESS_OK); /* but what was not as it is written is so now */
    CHECK(has("ids", "a,b"));
    CHECK(has("s.a", "sess-a"));
}

TEST(backends_without_pairs_of_their_own) {
    static const mcpsess_backends listed = {LIT("ids"), {NULL, 0}};
    have("a,z");
    CHECK_EQ(mcpsess_backends_del(&listed, &buf, MCPSESS_STR("z")), MCPSESS_OK);
    CHECK(has("ids", "a"));
    CHECK(has("z", "last")); /* of another meaning */
}

TEST(backends_del_needs_a_record_and_a_name) {
    mcpsess_buf none;
    have("a");
    CHECK(leaves("", MCPSESS_E_ARG));
    CHECK_EQ(mcpsess_backends_del(&names, &buf, str_broken()), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backends_del(&names, NULL, MCPSESS_STR("a")), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backends_del(NULL, &buf, MCPSESS_STR("a")), MCPSESS_E_ARG);
    mcpsess_buf_init(&none, before, sizeof before);
    CHECK_EQ(mcpsess_backends_del(&names, &none, MCPSESS_STR("a")), MCPSESS_E_FORMAT);
    buf.len--;
    CHECK(leaves("a", MCPSESS_E_FORMAT));
}

/* ---- what is in it ---- */

TEST(th42_07_backends_are_those_of_the_list_with_the_ids_they_gave) {
    mcpsess_record r;
    mcpsess_str name, session;
    size_t cursor = 0;
    have("b, c,a,");
    pair("s.d", "of none that is listed");
    r = now();
    CHECK_EQ(mcpsess_backends_next(&names, &r, &cursor, &name, &session), MCPSESS_OK);
    CHECK_STR(name, "b");
    CHECK_STR(session, "sess-b");
    CHECK_EQ(mcpsess_backends_next(&names, &r, &cursor, &name, &session), MCPSESS_OK);
    CHECK_STR(name, "c");
    CHECK_EQ(session.len, 0);
    CHECK_EQ(mcpsess_backends_next(&names, &r, &cursor, &name, &session), MCPSESS_OK);
    CHECK_STR(name, "a");
    CHECK_STR(session, "sess-a");
    CHECK_EQ(mcpsess_backends_next(&names, &r, &cursor, &name, &session), MCPSESS_END);
    cursor = 8;
    CHECK_EQ(mcpsess_backends_next(&names, &r, &cursor, &name, &session), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backends_next(&names, NULL, &cursor, &name, &session), MCPSESS_E_ARG);
}

TEST(th42_07_no_list_and_an_empty_one_are_two_things) {
    mcpsess_record r;
    mcpsess_str name, session;
    size_t cursor = 0;
    have("");
    r = now();
    CHECK_EQ(mcpsess_backends_next(&names, &r, &cursor, &name, &session), MCPSESS_END);
    have(NULL);
    r = now();
    CHECK_EQ(mcpsess_backends_next(&names, &r, &cursor, &name, &session), MCPSESS_MISS);
}

/* ---- an object made of it ---- */

static int check(const char *stored, const char *made) {
    mcpsess_record r;
    have(stored);
    r = now();
    return mcpsess_backends_check(&names, &r, mcpsess_str_z(made));
}

TEST(th42_06_an_object_is_made_anew_when_the_backends_are_others) {
    CHECK_EQ(check("a,b", "a,b"), MCPSESS_OK);
    CHECK_EQ(check("a", "a,b"), MCPSESS_STALE);
    CHECK_EQ(check("a,b", "a"), MCPSESS_STALE);
    CHECK_EQ(check("b,a", "a,b"), MCPSESS_STALE);
    CHECK_EQ(check("", "a"), MCPSESS_STALE);
    CHECK_EQ(check("a", NULL), MCPSESS_STALE);
    CHECK_EQ(check("a", "aa"), MCPSESS_STALE);
    CHECK_EQ(check("", ""), MCPSESS_OK);
    CHECK_EQ(check(" a ,b,", "a,b"), MCPSESS_OK);
}

TEST(th42_06_without_a_list_an_object_is_kept) {
    CHECK_EQ(check(NULL, "a,b"), MCPSESS_OK);
    CHECK_EQ(check(NULL, ""), MCPSESS_OK);
}

TEST(th42_06_ids_that_backends_gave_do_not_count) {
    mcpsess_record r;
    have("a,b");
    pair("s.a", "of another replica");
    CHECK_EQ(mcpsess_record_del(&buf, MCPSESS_STR("s.b")), MCPSESS_OK);
    r = now();
    CHECK_EQ(mcpsess_backends_check(&names, &r, MCPSESS_STR("a,b")), MCPSESS_OK);
}

TEST(th42_06_an_object_of_a_terminated_session_is_dropped) {
    mcpsess_record r;
    begin(MCPSESS_STATE_TERMINATED);
    r = now();
    CHECK_EQ(mcpsess_backends_check(&names, &r, MCPSESS_STR("a")), MCPSESS_MISS);
    CHECK_EQ(mcpsess_backends_check(&names, NULL, MCPSESS_STR("a")), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backends_check(NULL, &r, MCPSESS_STR("a")), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backends_check(&names, &r, str_broken()), MCPSESS_E_ARG);
}

/* ---- against a naive reference ---- */

static const char *const known[] = {"a", "b", "ab", "c"};

/* a list of some of them, with all that is not to count; then what is left of it without one */
static void make_list(char *list, char *left, const char *without) {
    unsigned n, count = (unsigned)random_below(6);
    *list = *left = '\0';
    for (n = 0; n < count; n++) {
        const char *one = random_below(5) == 0 ? "" : known[random_below(COUNT_OF(known))];
        if (n != 0) strcat(list, ",");
        if (random_below(3) == 0) strcat(list, " ");
        strcat(list, one);
        if (random_below(3) == 0) strcat(list, "\t");
        if (*one == '\0' || strcmp(one, without) == 0) continue;
        if (*left != '\0') strcat(left, ",");
        strcat(left, one);
    }
}

TEST(backends_agree_with_a_naive_reference) {
    char list[40], left[40];
    uint32_t round;
    tap_seed(42);
    for (round = 0; round < PORT_ROUNDS / 10u; round++) {
        const char *without = known[random_below(COUNT_OF(known))];
        int rc;
        make_list(list, left, without);
        begin(MCPSESS_STATE_ACTIVE);
        pair("ids", list);
        pair("z", "last");
        rc = del(without);
        if (!CHECK(rc == (strcmp(list, left) == 0 ? MCPSESS_END : MCPSESS_OK) && has("ids", left) && has("z", "last")))
            break;
    }
}

void test_backends(void) {
    RUN(th42_05a_without_a_list_or_terminated_nothing_is_done);
    RUN(th42_05b_a_backend_is_out_of_the_list_and_its_pair_gone);
    RUN(th42_05b_the_list_is_split_trimmed_and_keeps_its_order);
    RUN(th42_05c_the_list_stays_when_it_is_empty);
    RUN(th42_05d_an_unknown_backend_is_harmless);
    RUN(backends_without_pairs_of_their_own);
    RUN(backends_del_needs_a_record_and_a_name);
    RUN(th42_07_backends_are_those_of_the_list_with_the_ids_they_gave);
    RUN(th42_07_no_list_and_an_empty_one_are_two_things);
    RUN(th42_06_an_object_is_made_anew_when_the_backends_are_others);
    RUN(th42_06_without_a_list_an_object_is_kept);
    RUN(th42_06_ids_that_backends_gave_do_not_count);
    RUN(th42_06_an_object_of_a_terminated_session_is_dropped);
    RUN(backends_agree_with_a_naive_reference);
}
