#include "test_util.h"

void test_redis(void) {
}
