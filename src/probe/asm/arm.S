/* Probe for arm and armeb (EABI). Instructions of ARMv4 only.
 * What every probe does is told in src/probe/asm/README.md.
 *
 * System call: svc 0, number in r7, arguments in r0 to r2, result in r0; all
 * other registers are kept.
 * Numbers: exit 1, read 3, write 4, uname 122.
 * Source: Linux arch/arm/kernel/entry-common.S, arch/arm/tools/syscall.tbl. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; sp stays a multiple of 8 */
#define MACHINE 260             /* its fifth member */

        .text
        .arm
        .globl  _start
_start:
        add     r4, sp, #4              /* r4: cursor in argv, just above argc */
        sub     sp, sp, #BUFFER

        /* uname(buffer) */
        mov     r0, sp
        mov     r7, #122
        svc     #0
        add     r1, sp, #MACHINE        /* the first string to report */
        mov     r5, #'\n'

        /* puts(r1): its NUL becomes the newline, so that one write does */
puts:
        mov     r2, r1
scan:
        ldrb    r3, [r2], #1
        cmp     r3, #0
        bne     scan
        strb    r5, [r2, #-1]
        sub     r2, r2, r1              /* length, newline included */
        mov     r0, #1
        mov     r7, #4                  /* write(1, r1, r2) */
        svc     #0

        /* every argv[i], until the NULL */
        ldr     r1, [r4], #4
        cmp     r1, #0
        bne     puts

        /* an empty line ends the report */
        strb    r5, [sp]
        mov     r0, #1
        mov     r1, sp
        mov     r2, #1
        mov     r7, #4                  /* write(1, buffer, 1) */
        svc     #0

        /* hold until one byte or the end of the input: 0 stays at EOF */
        mov     r0, #0
        strb    r0, [sp]
        mov     r1, sp
        mov     r2, #1
        mov     r7, #3                  /* read(0, buffer, 1) */
        svc     #0

        ldrb    r0, [sp]
        mov     r7, #1                  /* exit(that byte) */
        svc     #0
