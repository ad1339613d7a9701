/* The one file that holds the implementations under test. */

#define MCPSESS_IMPLEMENTATION
#define MCPSESS_REDIS_IMPLEMENTATION
#include "mcpsess_redis.h"
