#define MCPSESS_IMPLEMENTATION
#include "../mcpsess.h"
