/* Probe for hexagon. Instructions of V5, one to a packet.
 * What every probe does is told in src/probe/asm/README.md.
 *
 * System call: trap0(#1), number in r6, arguments in r0 to r2, result in r0;
 * the other caller-saved registers may be lost, so what must last is in r16
 * and r17.
 * Numbers: read 63, write 64, exit 93, uname 160.
 * Source: Linux arch/hexagon/kernel/traps.c, include/uapi/asm-generic/unistd.h. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; r29 stays a multiple of 8 */
#define MACHINE 260             /* its fifth member */

        .text
        .globl  _start
_start:
        r16 = add(r29, #4)              /* r16: cursor in argv, just above argc */
        r29 = add(r29, #-BUFFER)
        r17 = #10                       /* r17: '\n' */

        /* uname(buffer) */
        r0 = r29
        r6 = #160
        trap0(#1)
        r1 = add(r29, #MACHINE)         /* the first string to report */

        /* puts(r1): its NUL becomes the newline, so that one write does */
puts:
        r2 = r1
scan:
        r3 = memub(r2++#1)
        p0 = cmp.eq(r3, #0)
        if (!p0) jump scan
        memb(r2 + #-1) = r17
        r2 = sub(r2, r1)                /* length, newline included */
        r0 = #1
        r6 = #64                        /* write(1, r1, r2) */
        trap0(#1)

        /* every argv[i], until the NULL */
        r1 = memw(r16++#4)
        p0 = cmp.eq(r1, #0)
        if (!p0) jump puts

        /* an empty line ends the report */
        memb(r29 + #0) = r17
        r0 = #1
        r1 = r29
        r2 = #1
        r6 = #64                        /* write(1, buffer, 1) */
        trap0(#1)

        /* hold until one byte or the end of the input: 0 stays at EOF */
        r0 = #0
        memb(r29 + #0) = r0
        r1 = r29
        r2 = #1
        r6 = #63                        /* read(0, buffer, 1) */
        trap0(#1)

        r0 = memub(r29 + #0)
        r6 = #93                        /* exit(that byte) */
        trap0(#1)
