#define MCPSESS_REDIS_IMPLEMENTATION
#include "../mcpsess_redis.h"
