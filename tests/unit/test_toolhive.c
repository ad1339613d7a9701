#include "test_util.h"

void test_toolhive(void) {
}
