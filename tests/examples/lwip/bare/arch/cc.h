/* What lwIP asks of a compiler, where a bare machine's libc has the rest. */
#ifndef LWIP_ARCH_CC_H
#define LWIP_ARCH_CC_H

#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_INTTYPES_H 1
#define SSIZE_MAX INT_MAX /* lwIP then leaves ssize_t alone */
#define LWIP_PLATFORM_DIAG(x) ((void)0)
#define LWIP_PLATFORM_ASSERT(x) ((void)0)

#endif
