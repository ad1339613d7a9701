/* The one file that holds the implementation under test. */

#define MCPSESS_IMPLEMENTATION
#include "mcpsess.h"
