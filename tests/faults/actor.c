/* Stands in for an emulator, and does by the name of the folder that it is in what no emulator should; in any other it
 * answers as the probe does. As interpreter of a rule with P it gets: its own path, the program's, argv[0], the nonce;
 * without P argv[0] is not there. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void answer(int count, char **arguments) {
    puts("actor");
    while (count-- > 0) puts(*arguments++);
    puts("");
    fflush(stdout);
}

/* Says yes and no in turn, as far as it can remember: in an empty root it cannot. */
static int is_a_bad_moment(const char *path) {
    char notes[4096];
    snprintf(notes, sizeof notes, "%s.notes", path);
    FILE *file = fopen(notes, "a");
    if (!file) return 0;
    fputc('x', file);
    long times = ftell(file);
    fclose(file);
    return times % 3 == 2;
}

int main(int argc, char **argv) {
    char path[4096], byte = 0;
    snprintf(path, sizeof path, "%s", argv[0]);
    const char *name = basename(dirname(path));
    if (!strcmp(name, "mdwe")) { /* Not an interpreter: starts a command that may not write what it runs. */
        if (prctl(65 /* PR_SET_MDWE */, 1, 0, 0, 0)) return 77;
        execvp(argv[1], argv + 1);
        return 127;
    }
    if (!strcmp(name, "daemon")) { /* Leaves a process behind that is in no group and no session of its parent's. */
        if (!fork()) {
            setsid();
            if (!fork()) { close(0); close(1); close(2); sleep(300); }
            _exit(0);
        }
        usleep(50000);
    }
    if (!strcmp(name, "terminal")) { /* Writes to whatever terminal it finds. */
        int terminal = open("/dev/tty", O_RDWR);
        if (terminal >= 0) write(terminal, "SPOOFED", 7);
    }
    if (!strcmp(name, "talks") && getenv("QEMU_VERSION")) { /* And talks, in letters that are not what they seem. */
        printf("qemu-actor version \xe2\x80\xae" "9\033[2J");
        for (int i = 0; i < 60000; i++) putchar('A');
        puts("");
        return 0;
    }
    if (getenv("QEMU_VERSION")) {
        printf("qemu-actor version %s\n", !strncmp(name, "version-", 8) ? name + 8 : "9.9.9");
        return 0;
    }
    if (!strcmp(name, "hangs")) for (;;) pause();
    if (!strcmp(name, "crashes")) { signal(SIGSEGV, SIG_DFL); raise(SIGSEGV); }
    if (!strcmp(name, "floods")) for (;;) puts("and on and on and on");
    if (!strcmp(name, "silent")) return 0;
    if (!strcmp(name, "refuses")) { fputs("no\n", stderr); return 1; }
    if (!strcmp(name, "flaky") && is_a_bad_moment(argv[0])) raise(SIGSEGV);
    if (!strcmp(name, "slow")) usleep(1500000);
    if (!strcmp(name, "deaf")) signal(SIGTERM, SIG_IGN);
    if (!strcmp(name, "lies")) {
        char *lie[] = {argv[2], "0123456789abcdef"};
        answer(2, lie);
    } else {
        /* Who does not know P takes the first for the program and the rest for its arguments. */
        int from = strcmp(name, "shifts") ? 2 : 1;
        answer(argc - from, argv + from);
    }
    if (read(0, &byte, 1) != 1) for (;;) pause();
    return strcmp(name, "forgets") ? byte : 0;
}
