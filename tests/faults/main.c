/* faults TABLE PATH [all]: the operations of one table, on the server at this unix socket; memory needs none. */

#include "faults.h"

#include <stdlib.h>

void faults_commands(const char *path);
void faults_csharp(const char *path);
void faults_flags(const char *path);
void faults_flags_in_ram(void);
void faults_greetings(const char *path);
void faults_librechat(const char *path);
void faults_logs(const char *path);
void faults_logs_in_ram(void);
void faults_requests(const char *path);
void faults_requests_in_ram(void);
void faults_sessions(const char *path);
void faults_sessions_in_ram(void);
void faults_toolhive(const char *path);

static void memory(const char *path) {
    (void)path;
    faults_begin_ram();
    faults_requests_in_ram();
    faults_sessions_in_ram();
    faults_logs_in_ram();
    faults_flags_in_ram();
}

static const struct {
    const char *name;
    void (*run)(const char *path);
} tables[] = {
    {"commands", faults_commands},
    {"requests", faults_requests},
    {"sessions", faults_sessions},
    {"toolhive", faults_toolhive},
    {"greetings", faults_greetings},
    {"logs", faults_logs},
    {"flags", faults_flags},
    {"csharp", faults_csharp},
    {"librechat", faults_librechat},
    {"memory", memory},
};

int main(int argc, char **argv) {
    size_t n;
    port_init();
    if (argc < 3) return 2;
    faults_all = argc > 3;
    for (n = 0; n < COUNT_OF(tables); n++) {
        if (strcmp(argv[1], tables[n].name) == 0) tables[n].run(argv[2]);
    }
    faults_sum();
    port_exit(tap_finish());
}
