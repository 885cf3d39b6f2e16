/* Probe for aarch64 and aarch64_be: the same bytes, as instructions are
 * little-endian in both and there is no data.
 * What every probe does is told in src/probe/asm/README.md.
 *
 * System call: svc 0, number in x8, arguments in x0 to x2, result in x0; all
 * other registers are kept.
 * Numbers: read 63, write 64, exit 93, uname 160.
 * Source: Linux arch/arm64/kernel/syscall.c, include/uapi/asm-generic/unistd.h. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; sp stays a multiple of 16, the hardware checks */
#define MACHINE 260             /* its fifth member */

        .text
        .globl  _start
_start:
        add     x19, sp, #8             /* x19: cursor in argv, just above argc */
        sub     sp, sp, #BUFFER

        /* uname(buffer) */
        mov     x0, sp
        mov     x8, #160
        svc     #0
        add     x1, sp, #MACHINE        /* the first string to report */
        mov     w20, #'\n'

        /* puts(x1): its NUL becomes the newline, so that one write does */
puts:
        mov     x2, x1
scan:
        ldrb    w3, [x2], #1
        cbnz    w3, scan
        sturb   w20, [x2, #-1]
        sub     x2, x2, x1              /* length, newline included */
        mov     x0, #1
        mov     x8, #64                 /* write(1, x1, x2) */
        svc     #0

        /* every argv[i], until the NULL */
        ldr     x1, [x19], #8
        cbnz    x1, puts

        /* an empty line ends the report */
        strb    w20, [sp]
        mov     x0, #1
        mov     x1, sp
        mov     x2, #1
        mov     x8, #64                 /* write(1, buffer, 1) */
        svc     #0

        /* hold until one byte or the end of the input: 0 stays at EOF */
        strb    wzr, [sp]
        mov     x0, #0
        mov     x1, sp
        mov     x2, #1
        mov     x8, #63                 /* read(0, buffer, 1) */
        svc     #0

        ldrb    w0, [sp]
        mov     x8, #93                 /* exit(that byte) */
        svc     #0
