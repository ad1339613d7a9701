#include "test_util.h"

void test_redisstore(void) {
}
