# Everything here is a short way to say something longer; the work is done by the scripts.

CFLAGS ?= -O2 -g
MINUTES ?= 10
BASE ?= HEAD
GROWTH ?= 5

help:
	@echo "make demo     two devices behind a gateway, and a client that talks to them: a transcript to read"
	@echo "make serve    the same, left running for a client of yours"
	@echo "              STORE=redis: two gateways that share a Redis, for both of these"
	@echo "make check    the unit tests; needs gcc alone, takes less than a minute"
	@echo "make test     everything; installs what it lacks if it may"
	@echo "make soak     every case of what make test takes a choice of, and half an hour of chaos"
	@echo "make size     flash, RAM and stack of each module, written into README.md"
	@echo "make firmware bare-metal programs, for Cortex-M3, RV32 and AVR; needs their compilers, prints what each takes"
	@echo "make size-diff BASE=REVISION: what has changed since; GROWTH=5 percent in any figure fails"
	@echo "make bench    measures ours beside the alternatives"
	@echo "make fuzz     fuzzes every decoder and the engine; MINUTES=$(MINUTES) for each"
	@echo "make interop  sessions shared with ToolHive's own packages; needs Go 1.26 and its module proxy"
	@echo "make prove    Frama-C: no undefined behaviour in base, lru, eventid, sse, record, resp"
	@echo "make clean    removes build/"

demo serve: demo-packages
	@$(MAKE) --no-print-directory build/gateway build/device build/client
	@examples/demo/run $@

demo-packages:
	@tests/install demo $(filter redis,$(STORE))

check:
	@tests/install check
	@tests/run unit

test:
	@tests/install test || echo "going on without: what lacks it will be skipped"
	@tests/run

soak:
	@tests/install test || echo "going on without: what lacks it will be skipped"
	@tests/faults/run --all
	@tests/redis/run --all
	@tests/sdk/run --all
	@tests/chaos/run --minutes 30

size:
	@tests/size/run --write

size-diff:
	@GROWTH=$(GROWTH) tests/size/run --diff $(BASE)

fuzz:
	@tests/fuzz/run --minutes $(MINUTES)

prove:
	@tests/install prove
	@tests/prove/run

interop:
	@tests/install redis
	@tests/toolhive/run interop

bench:
	@bench/run

# TLS to Redis, where Mbed TLS is installed.
hash := \#
tls = $(shell echo '$(hash)include <mbedtls/ssl.h>' | $(CC) -E - >/dev/null 2>&1 && \
	echo -DGATEWAY_TLS -lmbedtls -lmbedx509 -lmbedcrypto)

build/gateway: $(wildcard examples/gateway/*.[ch] examples/*_transport.h) mcpsess.h mcpsess_redis.h
build/gateway: libs = $(tls)
build/device: $(wildcard examples/device/*.[ch]) mcpsess.h
build/client: $(wildcard examples/client/*.[ch]) mcpsess.h
build/gateway build/device build/client:
	@mkdir -p build
	$(CC) -std=c99 $(CFLAGS) -I. -o $@ $(filter %.c,$^) -levent -lcjson $(libs)

# Bare-metal programs: what their first comments say is how to run them. firmware_flags: more of them, for tests, which
# build into another folder.
firmware = build/firmware
bare = -std=c99 -Os -g -ffunction-sections -fdata-sections -Wl,--gc-sections -I. -Iexamples $(firmware_flags)
bare_ld = --specs=picolibc.specs -nostartfiles -Lexamples/firmware -T
an385 = arm-none-eabi-gcc -mthumb -mcpu=cortex-m3 $(bare) $(bare_ld) an385.ld
virt = riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 -misa-spec=2.2 -mcmodel=medany $(bare) $(bare_ld) virt.ld
avr = avr-gcc -mmcu=atmega1284 -DF_CPU=16000000uL $(bare) -DMCPSESS_NO_TEXT -include avr/pgmspace.h \
	-DMCPSESS_ROM=PROGMEM '-DMCPSESS_ROM_U8(p)=pgm_read_byte(p)'
firmware_common = mcpsess.h mcpsess_redis.h examples/uart_transport.h $(wildcard examples/firmware/*.h \
	examples/firmware/*.ld examples/firmware/board_*.c)
programs = $(firmware)/node-an385 $(firmware)/node-virt $(firmware)/exchange-avr $(firmware)/device-an385

firmware: $(programs)
	@size $^ | awk 'NR > 1 { sub(/.*\//, "", $$6); \
		printf "%s: %d bytes of flash, %d of RAM\n", $$6, $$1 + $$2, $$2 + $$3 }'

$(firmware)/%-an385: examples/firmware/%.c $(firmware_common)
	@mkdir -p $(firmware)
	$(an385) -o $@ $< examples/firmware/board_an385.c
$(firmware)/%-virt: examples/firmware/%.c $(firmware_common)
	@mkdir -p $(firmware)
	$(virt) -o $@ $< examples/firmware/board_virt.c
$(firmware)/%-avr: examples/firmware/%.c $(firmware_common)
	@mkdir -p $(firmware)
	$(avr) -o $@ $< examples/firmware/board_avr.c

$(firmware)/peer: examples/firmware/peer.c examples/posix_transport.h mcpsess.h mcpsess_redis.h
	@mkdir -p $(firmware)
	$(CC) -std=c99 $(CFLAGS) -I. -Iexamples -o $@ $<

# A whole MCP server, on lwIP, http-parser and jsmn. Only ours is compiled with our warnings.
device = $(wildcard examples/firmware/device/*.c) examples/device/session.c examples/firmware/board_an385.c
device_headers = $(wildcard examples/firmware/device/*.h examples/firmware/device/arch/*.h examples/device/*.h)
device_libraries = $(addprefix build/src/,lwip/src/core/*.c lwip/src/core/ipv4/*.c lwip/src/netif/ethernet.c \
	http-parser/http_parser.c)
device_flags = -Iexamples/firmware/device -isystem build/src/lwip/src/include -isystem build/src/http-parser \
	-idirafter /usr/include -DHTTP_MAX_HEADER_SIZE=4096 -DNDEBUG -DMCPSESS_NO_FLIGHT -DMCPSESS_NO_BACKEND \
	-DMCPSESS_NO_TEXT -DMCPSESS_ID_MAX=24 -DMCPSESS_STREAM_MAX=24 -DMCPSESS_PRINCIPAL_MAX=16
device_ram = -Wl,--defsym=RAM_SIZE=64K,--defsym=STACK_SIZE=4K

# Linked by no script, so that each function stays a section of its own, and what is not used is left out.
$(firmware)/device-libraries.o: $(device_headers)
	@mkdir -p $(firmware)
	@tests/sources lwip http-parser
	arm-none-eabi-gcc -mthumb -mcpu=cortex-m3 -std=c99 -Os -g -ffunction-sections -fdata-sections \
		--specs=picolibc.specs $(device_flags) -r -nostdlib -T /dev/null -Wl,--no-gc-sections -o $@ $(device_libraries)
$(firmware)/device-an385: $(device) $(firmware)/device-libraries.o $(device_headers) $(firmware_common)
	$(an385) $(device_flags) $(device_ram) -o $@ $(device) $(firmware)/device-libraries.o

clean:
	rm -rf build

.PHONY: help demo serve demo-packages check test soak size size-diff fuzz interop prove bench firmware clean
