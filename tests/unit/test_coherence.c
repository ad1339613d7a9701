#include "test_util.h"

void test_coherence(void) {}
