#include "test_util.h"

void test_resp(void) {
}
