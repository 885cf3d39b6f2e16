/* Probe for s390x. Instructions of the first z/Architecture machines (z900).
 * What every probe does is told in src/probe/asm/README.md.
 *
 * System call: svc, whose operand is the number, arguments in r2 to r4, result
 * in r2; all other registers are kept.
 * Numbers: exit 1, read 3, write 4, uname 122.
 * Source: Linux arch/s390/kernel/syscall.c, arch/s390/kernel/syscalls/syscall.tbl. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; r15 stays a multiple of 8 */
#define MACHINE 260             /* its fifth member */

        .text
        .globl  _start
_start:
        la      %r6, 8(%r15)            /* r6: cursor in argv, just above argc */
        aghi    %r15, -BUFFER

        /* uname(buffer) */
        lgr     %r2, %r15
        svc     122
        la      %r3, MACHINE(%r15)      /* the first string to report */

        /* puts(r3): its NUL becomes the newline, so that one write does */
puts:
        lgr     %r4, %r3
scan:
        cli     0(%r4), 0
        la      %r4, 1(%r4)             /* la leaves the condition code alone */
        jne     scan
        lgr     %r5, %r4
        aghi    %r5, -1                 /* no negative displacement on the z900 */
        mvi     0(%r5), '\n'
        sgr     %r4, %r3                /* length, newline included */
        lghi    %r2, 1
        svc     4                       /* write(1, r3, r4) */

        /* every argv[i], until the NULL */
        lg      %r3, 0(%r6)
        la      %r6, 8(%r6)
        ltgr    %r3, %r3
        jnz     puts

        /* an empty line ends the report */
        mvi     0(%r15), '\n'
        lghi    %r2, 1
        lgr     %r3, %r15
        lghi    %r4, 1
        svc     4                       /* write(1, buffer, 1) */

        /* hold until one byte or the end of the input: 0 stays at EOF */
        mvi     0(%r15), 0
        lghi    %r2, 0
        lgr     %r3, %r15
        lghi    %r4, 1
        svc     3                       /* read(0, buffer, 1) */

        llgc    %r2, 0(%r15)
        svc     1                       /* exit(that byte) */
