// Runs every form of a call, and prints what came out of it: rewritten it must print the same.
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern void probe(void (*function)(void), void *unused, uint64_t *after);
extern uint64_t red_zone(void);
extern unsigned char data_in_text[], data_in_text_end[];

#define FORMS(X) \
    X(number) X(long_number) X(preceding) X(preceding_with_call) X(following) X(following_jump) X(return) \
    X(both) X(following_relative) X(after_stop) X(stays) X(false)
#define DECLARE(name) extern void form_##name(void);
FORMS(DECLARE)

int main(void) {
    struct { const char *name; void (*function)(void); } forms[] = {
#define LIST(name) {#name, form_##name},
        FORMS(LIST)};
    for (unsigned i = 0; i < sizeof forms / sizeof *forms; i++) {
        uint64_t after[14];
        memset(after, 0xee, sizeof after);
        probe(forms[i].function, 0, after);
        printf("%s: %s", forms[i].name, after[0] == (uint64_t)getppid() ? "getppid" : "WRONG");
        for (int r = 1; r < 14; r++) printf(" %lx", after[r]);
        puts("");
    }
    printf("red zone %lx\n", red_zone());
    for (unsigned char *byte = data_in_text; byte < data_in_text_end; byte++) printf("%02x", *byte);
    puts("");
    return 0;
}
