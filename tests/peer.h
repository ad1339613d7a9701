/* A process that other programs' tests talk to: it is told what to do by stdin, a line each, and answers a line. Words
   are separated by one space each; in a word a byte outside 0x21-0x7E, and %, is written %XX. Every answer begins with
   the name of a code. */

#ifndef PEER_H
#define PEER_H

#include "mcpsess.h"

#include <stdio.h>

static inline unsigned hex_value(char c) {
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

/* Takes the first word off *line, and writes it where it was. */
static inline mcpsess_str take_word(char **line) {
    char *from = *line, *to = *line, *start = *line;
    for (; *from != '\0' && *from != ' ' && *from != '\n'; from++) {
        if (*from == '%') {
            *to++ = (char)(hex_value(from[1]) << 4 | hex_value(from[2]));
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *line = *from == ' ' ? from + 1 : from;
    return mcpsess_str_of(start, (size_t)(to - start));
}

/* Takes all of them, at most max; what is missing is empty.  -> how many there were */
static inline unsigned take_words(char *line, mcpsess_str *words, unsigned max) {
    unsigned count = 0, n;
    while (count < max && *line != '\0' && *line != '\n') words[count++] = take_word(&line);
    for (n = count; n < max; n++) words[n] = mcpsess_str_of(NULL, 0); /* an empty one at the end */
    return count;
}

static inline void say(mcpsess_str word) {
    size_t n;
    putchar(' ');
    for (n = 0; n < word.len; n++) {
        unsigned c = (unsigned char)word.ptr[n];
        if (c <= ' ' || c > '~' || c == '%') printf("%%%02X", c);
        else putchar((int)c);
    }
}

static inline void say_number(uint64_t number) {
    printf(" %llu", (unsigned long long)number);
}

#endif
